"""Regular expressions as grammar trees, so that one walker serves both."""

import re

from simulator.errors import GrammarError
from simulator.grammar import CharClass, Grammar, Literal, Node, Repeat, bounds, choice, class_of, sequence

_CLASSES: dict[str, str] = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \\t\\n\\r"}
_ANCHORS = frozenset("^$")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_SIMPLE: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def parse_regex(pattern: str) -> Grammar:
    """Read a pattern; it is anchored at both ends, as decoding is.

    Raises:
        GrammarError: It is not well formed, or needs more than a grammar can say.
    """
    try:
        return Grammar({"root": _Regex(pattern).whole()})
    except GrammarError:
        raise
    except (ValueError, IndexError) as error:
        raise GrammarError(f"Regex parsing error: {error}") from error


class _Regex:
    """Recursive descent over the characters of one pattern."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0

    def _fail(self, what: str) -> GrammarError:
        return GrammarError(f"Regex parsing error at position {self._at + 1}: {what}")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise self._fail("Unexpected end of pattern")
        self._at += 1
        return char

    def whole(self) -> Node:
        node = self._choice()
        if self._peek():
            raise self._fail("Unmatched ')'")
        return node

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return choice(options)

    def _sequence(self) -> Node:
        items: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            if self._peek() in _ANCHORS:
                self._at += 1
                continue
            items.append(self._quantified(self._atom()))
        return sequence(items) if items else Literal("")

    def _atom(self) -> Node:
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == ".":
            return CharClass(((10, 10),), negated=True)
        if char == "\\":
            return self._escape()
        if char in "*+?":
            self._at -= 1
            raise self._fail("Nothing to repeat")
        return Literal(char)

    def _group(self) -> Node:
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._text.startswith(("?P<", "?<"), self._at) and self._text[self._at + 2] not in "=!":
            self._at = self._text.index(">", self._at) + 1
        elif self._peek() == "?":
            raise self._fail("Lookaround is not supported")
        inner = self._choice()
        if self._peek() != ")":
            raise self._fail("The parenthesis is not closed")
        self._at += 1
        return inner

    def _escape(self) -> Node:
        char = self._take()
        if char.lower() in _CLASSES:
            return class_of(_CLASSES[char.lower()], negated=char.isupper())
        if char in "xu":
            width = 2 if char == "x" else 4
            digits = self._text[self._at : self._at + width]
            if len(digits) < width:
                raise self._fail("Incomplete character escape")
            self._at += width
            return Literal(chr(int(digits, 16)))
        if char in "bB":
            return Literal("")
        return Literal(_CONTROL.get(char, char))

    def _class(self) -> Node:
        negated = self._peek() == "^"
        start = self._at + negated
        end = start
        while end < len(self._text) and (self._text[end] != "]" or end == start):
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            self._at = len(self._text)
            raise self._fail("Unclosed '['")
        body = self._text[start:end]
        self._at = end + 1
        if re.search(r"\\[DWS]", body):
            raise self._fail("A negated class inside a class is not supported")
        for short, long in _CLASSES.items():
            body = body.replace(f"\\{short}", long)
        return class_of(body, negated=negated)

    def _quantified(self, item: Node) -> Node:
        while (char := self._peek()) and char in "?*+{":
            low, high = self._bounds() if char == "{" else _SIMPLE[self._take()]
            item = Repeat(item, low, high)
            if self._peek() == "?":  # lazy or greedy: the language is the same
                self._at += 1
        return item

    def _bounds(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        inside = self._text[self._at + 1 : end] if end > 0 else ""
        low, comma, high = inside.partition(",")
        if not low.strip().isdigit() or (high.strip() and not high.strip().isdigit()):
            raise self._fail("Invalid repetition count.")
        self._at = end + 1
        return bounds(low.strip(), comma, high.strip())
