r"""The EBNF that engines decode under, as a tree.

The subset: `name ::= body`, string literals with escapes, character classes with ranges, negation and `\xHH`, `\uHHHH`,
`\UHHHHHHHH` escapes, groups, `|`, the quantifiers `? * + {m} {m,} {m,n}`, rule references and `#` comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulator.errors import GrammarError


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class CharClass:
    """One character inside (or, negated, outside) the ranges."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        return any(low <= ord(char) <= high for low, high in self.ranges) != self.negated


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The item, at least `low` and at most `high` times (no bound when None)."""

    item: Node
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Reference:
    """Another rule by name."""

    name: str


Node = Literal | CharClass | Sequence | Choice | Repeat | Reference


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name; text is derived from `root`."""

    rules: dict[str, Node]
    root: str = "root"


_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_.-]*)
      | (?P<define>::=)
      | "(?P<literal>(?:[^"\\\n]|\\.)*)"
      | \[(?P<negated>\^?)(?P<charclass>(?:[^\]\\\n]|\\.)*)\]
      | \{\s*(?P<low>\d+)\s*(?P<range>,?)\s*(?P<high>\d*)\s*\}
      | (?P<mark>[()|?*+])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_NAMED_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b", "v": "\v", "a": "\a", "0": "\0"}
_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


def unescape(match: re.Match[str]) -> str:
    """The character one escape sequence stands for."""
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _NAMED_ESCAPES.get(match[4], match[4])


def class_of(body: str, *, negated: bool = False) -> CharClass:
    """The class between the brackets."""
    chars: list[tuple[str, bool]] = []
    at = 0
    while at < len(body):
        match = _ESCAPE.match(body, at)
        chars.append((unescape(match), True) if match else (body[at], False))
        at = match.end() if match else at + 1
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(chars):
        first = ord(chars[at][0])
        spans = at + 2 < len(chars) and chars[at + 1] == ("-", False)
        ranges.append((first, ord(chars[at + 2][0]) if spans else first))
        at += 3 if spans else 1
    if any(low > high for low, high in ranges):
        raise GrammarError("Invalid character class: lower bound is larger than upper bound")
    return CharClass(tuple(ranges), negated)


def sequence(items: list[Node]) -> Node:
    """The items in a row; a lone item stands for itself."""
    return items[0] if len(items) == 1 else Sequence(tuple(items))


def choice(options: list[Node]) -> Node:
    """One of the options; a lone option stands for itself."""
    return options[0] if len(options) == 1 else Choice(tuple(options))


def parse(text: str, root: str = "root") -> Grammar:
    """Read a grammar.

    Raises:
        GrammarError: It is not well formed, or a rule is missing.
    """
    return _Parser(text).grammar(root)


class _Parser:
    """Recursive descent over the tokens of one grammar text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan(text))
        self._at = 0

    def _scan(self, text: str) -> list[re.Match[str]]:
        tokens: list[re.Match[str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error("Unexpected character", at)
            if match.lastgroup != "space":
                tokens.append(match)
            at = match.end()
        return tokens

    def _error(self, what: str, offset: int) -> GrammarError:
        line = self._text.count("\n", 0, offset) + 1
        column = offset - (self._text.rfind("\n", 0, offset) + 1) + 1
        return GrammarError(f"EBNF parser error at line {line}, column {column}: {what}")

    def _peek(self, ahead: int = 0) -> re.Match[str] | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _mark(self) -> str | None:
        token = self._peek()
        return token["mark"] if token else None

    def _fail(self, what: str) -> GrammarError:
        token = self._peek()
        return self._error(what, token.start() if token else len(self._text))

    def grammar(self, root: str) -> Grammar:
        rules: dict[str, Node] = {}
        while token := self._peek():
            if not (token["name"] and self._starts_rule()):
                raise self._fail("Expect rule name")
            self._at += 2
            rules[token["name"]] = self._choice()
        if root not in rules:
            raise GrammarError(f'The root rule with name "{root}" is not found.')
        for token in self._tokens:
            if token["name"] and token["name"] not in rules:
                raise self._error(f'Rule "{token["name"]}" is not defined', token.start())
        return Grammar(rules, root)

    def _starts_rule(self) -> bool:
        after = self._peek(1)
        return after is not None and after["define"] is not None

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._mark() == "|":
            self._at += 1
            options.append(self._sequence())
        return choice(options)

    def _sequence(self) -> Node:
        items: list[Node] = []
        while (item := self._element()) is not None:
            items.append(self._quantified(item))
        return sequence(items) if items else Literal("")

    def _element(self) -> Node | None:
        token = self._peek()
        if token is None or token["mark"] in (")", "|") or (token["name"] and self._starts_rule()):
            return None
        if token["mark"] == "(":
            return self._group()
        self._at += 1
        if token["name"]:
            return Reference(token["name"])
        if token["literal"] is not None:
            return Literal(_ESCAPE.sub(unescape, token["literal"]))
        if token["charclass"] is not None:
            return class_of(token["charclass"], negated=bool(token["negated"]))
        self._at -= 1
        raise self._fail("Expect element")

    def _group(self) -> Node:
        self._at += 1
        inner = self._choice()
        if self._mark() != ")":
            raise self._fail("Expect )")
        self._at += 1
        return inner

    def _quantified(self, item: Node) -> Node:
        while token := self._peek():
            if token["mark"] in _QUANTIFIERS:
                low, high = _QUANTIFIERS[token["mark"]]
            elif token["low"]:
                low, high = bounds(token["low"], token["range"], token["high"])
            else:
                break
            if high is not None and low > high:
                raise self._fail("Lower bound is larger than upper bound")
            item = Repeat(item, low, high)
            self._at += 1
        return item


def bounds(low: str, comma: str, high: str) -> tuple[int, int | None]:
    """The bounds of `{m}`, `{m,}` or `{m,n}` from its parts."""
    if not comma:
        return int(low), int(low)
    return int(low), int(high) if high else None
