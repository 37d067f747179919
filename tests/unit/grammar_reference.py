"""A second, independent reading of our decoding grammars: it recognises their sentences and makes up new ones.

It reads only the subset in which ``app.core.grammar`` writes, and refuses everything else, so that a grammar which
leaves the subset that both engines share fails here first.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Literal

Style = Literal["longest", "shortest", "escapes", "mixed"]
STYLES: tuple[Style, ...] = ("longest", "shortest", "escapes", "mixed")

_ENDLESS = 40  # how often a "longest" sentence repeats what has no upper bound
_WORD = re.compile(
    r"""\s*(?:
        (?P<literal>"(?:[^"\\\n]|\\["\\])*")
      | (?P<set>\[(?!\^)(?:(?!--|&&|~~)[^\[\]\\\n]|\\u[0-9A-F]{4}|\\[\[\]\\n])+\])  # llguidance takes away behind those
      | (?P<name>[a-zA-Z0-9][a-zA-Z0-9-]*)
      | (?P<count>\{\d+,\d*\}|[*?])
      | (?P<sign>[()|])
    )""",
    re.VERBOSE,
)
_SET_MEMBER = re.compile(r"\\u[0-9A-F]{4}|\\.|.", re.DOTALL)


@dataclass(frozen=True)
class Text:
    """Exactly this text."""

    text: str


@dataclass(frozen=True)
class OneOf:
    """One character out of these ranges."""

    ranges: tuple[tuple[int, int], ...]

    def holds(self, char: str) -> bool:
        """Whether ``char`` is one of them."""
        return any(low <= ord(char) <= high for low, high in self.ranges)


@dataclass(frozen=True)
class Sequence:
    """These, one after the other."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Choice:
    """One of these."""

    options: "tuple[Node, ...]"


@dataclass(frozen=True)
class Repeat:
    """The same, again and again; no upper bound if ``most`` is None."""

    part: "Node"
    least: int
    most: int | None


@dataclass(frozen=True)
class Rule:
    """What the rule of this name says."""

    name: str


Node = Text | OneOf | Sequence | Choice | Repeat | Rule


class Grammar:
    """A grammar, from its text."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, Node] = {}
        for line in text.splitlines():
            name, sign, body = line.partition(" ::= ")
            if not sign or not re.fullmatch(r"[a-zA-Z0-9-]+", name) or name in self.rules:
                raise ValueError(f"not a new rule: {line!r}")
            self.rules[name] = _Parser(body).parse()
        self._check(Rule("root"))
        for node in self.rules.values():
            self._check(node)

    def _check(self, node: Node) -> None:
        match node:
            case Rule(name):
                if name not in self.rules:
                    raise ValueError(f"no rule {name!r}")
            case Sequence(parts) | Choice(parts):
                for part in parts:
                    self._check(part)
            case Repeat(part, least, most):
                if most is not None and most < least:
                    raise ValueError(f"repeats {least} to {most} times")
                self._check(part)
            case _:
                pass

    def recognises(self, sentence: str) -> bool:
        """Whether the whole of ``sentence`` follows from ``root``."""
        return len(sentence) in _Recogniser(self.rules, sentence).ends(Rule("root"), 0)

    def sentence(self, random: Random, style: Style) -> str:
        """A sentence that goes where the grammar may be wrong: to its bounds and to its escapes."""
        pieces: list[str] = []
        _Writer(self.rules, random, style, pieces).write(Rule("root"))
        return "".join(pieces)

    def all_sentences(self, node: Node | None = None) -> Iterator[str]:
        """Every sentence of a grammar without repetition, as often as it can be derived."""
        match node or Rule("root"):
            case Text(text):
                yield text
            case OneOf(ranges):
                yield from (chr(code) for low, high in ranges for code in range(low, high + 1))
            case Sequence(parts):
                yield from map("".join, product(*(list(self.all_sentences(part)) for part in parts)))
            case Choice(options):
                for option in options:
                    yield from self.all_sentences(option)
            case Rule(name):
                yield from self.all_sentences(self.rules[name])
            case Repeat():
                raise ValueError("a grammar with repetition has too many sentences")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._next()

    def _next(self) -> None:
        if not self._text[self._position :].strip():
            self._kind, self._word = "end", ""
            return
        found = _WORD.match(self._text, self._position)
        if found is None:
            raise ValueError(f"outside the common subset: {self._text[self._position :]!r}")
        self._position = found.end()
        self._kind = str(found.lastgroup)
        self._word = found[self._kind]

    def parse(self) -> Node:
        node = self._choice()
        if self._kind != "end":
            raise ValueError(f"unexpected {self._word!r}")
        return node

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._word == "|" and self._kind == "sign":
            self._next()
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._kind in {"literal", "set", "name"} or (self._kind == "sign" and self._word == "("):
            parts.append(self._counted(self._atom()))
        if not parts:
            raise ValueError(f"nothing before {self._word!r}")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self) -> Node:
        kind, word = self._kind, self._word
        self._next()
        if kind == "literal":
            return Text(re.sub(r"\\(.)", r"\1", word[1:-1]))
        if kind == "set":
            return OneOf(_ranges(word[1:-1]))
        if kind == "name":
            return Rule(word)
        node = self._choice()
        if self._word != ")":
            raise ValueError("a bracket is not closed")
        self._next()
        return node

    def _counted(self, node: Node) -> Node:
        if self._kind != "count":
            return node
        word = self._word
        self._next()
        if word in {"*", "?"}:
            return Repeat(node, 0, None if word == "*" else 1)
        least, most = word[1:-1].split(",")
        return Repeat(node, int(least), int(most) if most else None)


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    members = [str(member) for member in _SET_MEMBER.findall(text)]
    ranges: list[tuple[int, int]] = []
    while members:
        low = high = _code(members.pop(0))
        if len(members) > 1 and members[0] == "-":
            high = _code(members[1])
            del members[:2]
        if high < low:
            raise ValueError(f"an empty range in [{text}]")
        ranges.append((low, high))
    return tuple(ranges)


def _code(member: str) -> int:
    if found := re.fullmatch(r"\\u(....)", member):
        return int(found[1], 16)
    return ord("\n") if member == "\\n" else ord(member[-1])


@dataclass(frozen=True)
class _Recogniser:
    rules: Mapping[str, Node]
    sentence: str

    def ends(self, node: Node, start: int) -> set[int]:
        """Everywhere in the sentence where ``node``, begun at ``start``, can end."""
        match node:
            case Text(text):
                return {start + len(text)} if self.sentence.startswith(text, start) else set()
            case OneOf():
                return {start + 1} if start < len(self.sentence) and node.holds(self.sentence[start]) else set()
            case Sequence(parts):
                here = {start}
                for part in parts:
                    here = self._step(part, here)
                return here
            case Choice(options):
                return {end for option in options for end in self.ends(option, start)}
            case Repeat(part, least, most):
                return self._repeat(part, least, most, start)
            case Rule(name):
                return self.ends(self.rules[name], start)

    def _step(self, node: Node, starts: set[int]) -> set[int]:
        return {end for start in starts for end in self.ends(node, start)}

    def _repeat(self, part: Node, least: int, most: int | None, start: int) -> set[int]:
        here = {start}
        for _ in range(least):
            here = self._step(part, here)
        ends = set(here)
        count = least
        while here and (most is None or count < most):
            here = self._step(part, here) - ends
            ends |= here
            count += 1
        return ends


@dataclass(frozen=True)
class _Writer:
    rules: Mapping[str, Node]
    random: Random
    style: Style
    pieces: list[str]

    def write(self, node: Node) -> None:
        match node:
            case Text(text):
                self.pieces.append(text)
            case OneOf(ranges):
                low, high = self.random.choice(ranges)
                self.pieces.append(chr(self.random.choice((low, high, self.random.randint(low, high)))))
            case Sequence(parts):
                for part in parts:
                    self.write(part)
            case Choice(options):
                self.write(self._option(options))
            case Repeat(part, least, most):
                for _ in range(self._count(least, least + _ENDLESS if most is None else most)):
                    self.write(part)
            case Rule(name):
                self.write(self.rules[name])

    def _option(self, options: tuple[Node, ...]) -> Node:
        escapes = [option for option in options if isinstance(option, Sequence) and option.parts[0] == Text("\\")]
        if escapes and self.style == "escapes":
            return self.random.choice(escapes)
        return self.random.choice(options)

    def _count(self, least: int, most: int) -> int:
        if self.style == "longest":
            return most
        return least if self.style == "shortest" else self.random.randint(least, most)
