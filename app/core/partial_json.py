"""One JSON object that arrives in pieces -> events about its values as they grow. Pure.

Every character is looked at once: runs of plain text inside strings are found by one regular expression, so the cost
of a piece does not depend on how much came before it.
"""

import copy
import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

Path: TypeAlias = tuple[str | int, ...]
Scalar: TypeAlias = str | int | float | bool | None

_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_SPACE = re.compile(r"[ \t\r\n]+")
_BARE = re.compile(r"[-+.0-9A-Za-z]+")
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LONGEST_KEY = 256  # characters; a longer one is a text that never ends in the wrong place
_UNICODE_LENGTH = 6  # of \uXXXX
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_REPLACEMENT = "\ufffd"  # for half a surrogate pair, which no UTF-8 text can hold


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of the string at ``path``."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The scalar at ``path`` is complete."""

    path: Path
    value: Scalar


PartialEvent: TypeAlias = Delta | Done


class _Open:
    """A container that is not closed yet.

    Attributes:
        value: What it holds so far.
        expects: What may come next: ``key``, ``colon``, ``value`` or ``comma``; ``open`` while its last value is a
            container that is not closed.
        key: The key whose value grows, in an object.
    """

    def __init__(self, value: dict[str, Any] | list[Any]) -> None:
        self.value = value
        self.key = ""
        self.expects = "key" if isinstance(value, dict) else "value"

    @property
    def step(self) -> str | int:
        """Where in the container the value is that grows now."""
        if isinstance(self.value, dict):
            return self.key
        return len(self.value) - (self.expects == "open")

    def put(self, value: object) -> None:
        """Store the value that grew."""
        if isinstance(self.value, dict):
            self.value[self.key] = value
        else:
            self.value.append(value)
        self.expects = "comma"


class PartialJson:
    """Reads one object, fed in pieces of whole characters cut anywhere.

    Attributes:
        complete: Whether the object is closed.
    """

    def __init__(self) -> None:
        self.complete = False
        self._stack: list[_Open] = []
        self._root: dict[str, Any] = {}
        self._rest = ""  # the beginning of an escape, a number or a word that the next piece continues
        self._read = 0
        self._string: list[str] | None = None  # the open string: what earlier pieces brought
        self._fresh: list[str] = []  # and what this one brought
        self._length = 0
        self._events: list[PartialEvent] = []

    @property
    def value(self) -> dict[str, Any]:
        """A copy of what is known so far: whole scalars, and the text so far of the string that is open."""
        known: dict[str, Any] = copy.deepcopy(self._root)
        path = self.open_path
        if path is None:
            return known
        holder: Any = known
        for step in path[:-1]:
            holder = holder[step]
        text = "".join(cast("list[str]", self._string))
        if isinstance(holder, list):
            cast("list[object]", holder).append(text)
        else:
            holder[path[-1]] = text
        return known

    @property
    def open_path(self) -> Path | None:
        """Where the string is that is being read now, if it is a value."""
        return None if self._string is None or self._in_key else self._path()

    @property
    def open_field(self) -> str | None:
        """The field of the outermost object whose value has begun and is not complete."""
        if not self._stack or self._stack[0].expects not in {"open", "value"}:
            return None
        return self._stack[0].key

    @property
    def open_length(self) -> int:
        """Characters that the open string has so far."""
        return self._length if self._string is not None else 0

    def feed(self, piece: str) -> list[PartialEvent]:
        """The events that ``piece`` completes, in order; one ``Delta`` at most for each string in it.

        Raises:
            ValueError: the text is not the beginning of a JSON object; the message says at which character.
        """
        text, self._rest, self._events = self._rest + piece, "", []
        at = 0
        while at < len(text):
            after = self._between(text, at) if self._string is None else self._within(text, at)
            if after is None:
                self._rest = text[at:]
                break
            at = after
        self._read += at
        self._flush()
        return self._events

    @property
    def _in_key(self) -> bool:
        return self._stack[-1].expects == "key"

    def _path(self) -> Path:
        return tuple(container.step for container in self._stack)

    def _wrong(self, at: int) -> ValueError:
        return ValueError(f"not JSON at character {self._read + at}")

    # Inside a string: each step returns where to go on, or None if the piece ends in the middle of something.

    def _within(self, text: str, at: int) -> int | None:
        if plain := _PLAIN.match(text, at):
            self._fresh.append(plain.group())
            return plain.end()
        if text[at] == '"':
            self._end_string()
            return at + 1
        if text[at] == "\\":
            return self._escape(text, at)
        raise self._wrong(at)

    def _escape(self, text: str, at: int) -> int | None:
        if len(text) < at + 2:
            return None
        if text[at + 1] == "u":
            return self._unicode(text, at)
        char = _ESCAPES.get(text[at + 1])
        if char is None:
            raise self._wrong(at)
        self._fresh.append(char)
        return at + 2

    def _unicode(self, text: str, at: int) -> int | None:
        found = _UNICODE.match(text, at)
        if found is None:
            if len(text) - at < _UNICODE_LENGTH:
                return None
            raise self._wrong(at)
        code = int(found.group(1), 16)
        if code in _HIGH:
            return self._pair(text, found.end(), code)
        self._fresh.append(_REPLACEMENT if code in _LOW else chr(code))
        return found.end()

    def _pair(self, text: str, at: int, high: int) -> int | None:
        """The second half of a surrogate pair; a first half alone becomes the replacement character."""
        found = _UNICODE.match(text, at)
        if found is None and len(text) - at < _UNICODE_LENGTH and '"' not in text[at:]:
            return None
        low = int(found.group(1), 16) if found else 0
        if found and low in _LOW:
            self._fresh.append(chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)))
            return found.end()
        self._fresh.append(_REPLACEMENT)
        return at

    def _flush(self) -> None:
        if self._string is None or not self._fresh:
            return
        text = "".join(self._fresh)
        self._string.append(text)
        self._length += len(text)
        self._fresh.clear()
        if self._in_key and self._length > _LONGEST_KEY:
            raise self._wrong(0)
        if not self._in_key:
            self._events.append(Delta(self._path(), text))

    def _end_string(self) -> None:
        self._flush()
        text = "".join(cast("list[str]", self._string))
        container = self._stack[-1]
        if self._in_key:
            container.key, container.expects = text, "colon"
        else:
            self._done(text)
        self._string = None

    def _done(self, value: Scalar) -> None:
        self._events.append(Done(self._path(), value))
        self._stack[-1].put(value)

    # Between strings.

    def _between(self, text: str, at: int) -> int | None:
        if space := _SPACE.match(text, at):
            return space.end()
        char = text[at]
        if not self._stack:
            return self._begin(char, at)
        container = self._stack[-1]
        if char in "]}":
            return self._close(container, char, at)
        if (char, container.expects) == (":", "colon"):
            container.expects = "value"
        elif (char, container.expects) == (",", "comma"):
            container.expects = "key" if isinstance(container.value, dict) else "value"
        elif char == '"' and container.expects in {"key", "value"}:
            self._string, self._length = [], 0
        elif container.expects == "value":
            return self._open_or_bare(container, text, at)
        else:
            raise self._wrong(at)
        return at + 1

    def _begin(self, char: str, at: int) -> int:
        if char != "{" or self.complete:
            raise self._wrong(at)
        self._stack.append(_Open(self._root))
        return at + 1

    def _close(self, container: _Open, char: str, at: int) -> int:
        end, first = ("}", "key") if isinstance(container.value, dict) else ("]", "value")
        may_end = container.expects == "comma" or (not container.value and container.expects == first)
        if char != end or not may_end:
            raise self._wrong(at)
        self._stack.pop()
        if self._stack:
            self._stack[-1].expects = "comma"
        else:
            self.complete = True
        return at + 1

    def _open_or_bare(self, container: _Open, text: str, at: int) -> int | None:
        if text[at] in "{[":
            value: dict[str, Any] | list[Any] = {} if text[at] == "{" else []
            opened = _Open(value)
            container.put(value)
            container.expects = "open"
            self._stack.append(opened)
            return at + 1
        found = _BARE.match(text, at)
        if found is None:
            raise self._wrong(at)
        if found.end() == len(text):  # a number may go on in the next piece
            return None
        try:
            self._done(json.loads(found.group()))
        except ValueError:
            raise self._wrong(at) from None
        return found.end()
