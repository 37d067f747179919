"""Text that a grammar accepts: a deterministic walk over its tree.

Where a repeated part takes letters one at a time, the walk writes prose into it, in the wanted language if the part
takes it and in the other one if not, and stops at a typical length if the grammar lets it end there. Elsewhere it
picks among the options by a seed.
"""

from random import Random

from simulator.grammar import CharClass, Choice, Grammar, Literal, Node, Reference, Repeat, Sequence
from simulator.text import sentences

_DEEP = 60  # levels after which only the shortest way out is taken
_LONG = 20_000  # characters after which optional parts are left out
_NEVER = 1 << 30
_LETTERS = {"ko": "가힣", "en": "TaeL"}  # who takes these takes the language's prose
_SAMPLE = "가나다라마바사abcdefghijklmnop0123456789 .,-_"


class Walker:
    """Derives texts of one grammar."""

    def __init__(self, grammar: Grammar, rng: Random, typical_chars: int, language: str = "ko") -> None:
        self._rules = grammar.rules
        self._root = Reference(grammar.root)
        self._rng = rng
        self._typical = typical_chars
        self._languages = sorted(_LETTERS, key=lambda known: known != language)
        self._cost = _shortest(grammar.rules)
        self._out: list[str] = []
        self._length = 0

    def text(self) -> str:
        """One accepted text."""
        self._out, self._length = [], 0
        self._walk(self._root, 0)
        return "".join(self._out)

    def _emit(self, text: str) -> None:
        self._out.append(text)
        self._length += len(text)

    def _walk(self, node: Node, depth: int) -> None:
        match node:
            case Literal(text):
                self._emit(text)
            case CharClass():
                self._emit(self._pick(node))
            case Sequence(items):
                self._sequence(items, depth)
            case Choice(options):
                self._walk(self._option(options, depth), depth + 1)
            case Reference(name):
                self._walk(self._rules[name], depth + 1)
            case Repeat():
                self._repeat(node, depth)

    def _sequence(self, items: tuple[Node, ...], depth: int) -> None:
        at = 0
        while at < len(items):
            opened = self._opened_prose(items[at], items[at + 1]) if at + 1 < len(items) else ""
            if opened:
                self._emit(opened)
            else:
                self._walk(items[at], depth + 1)
            at += 2 if opened else 1

    def _opened_prose(self, first: Node, rest: Node) -> str:
        """Prose for a string whose first character has a class of its own, or nothing if this is not one."""
        if not isinstance(rest, Repeat) or rest.high == 0 or self._length > _LONG:
            return ""
        for language in self._languages:
            if self._speaks(first, language) and self._speaks(rest.item, language):
                high = None if rest.high is None else rest.high + 1
                text = self._prose(rest.item, rest.low + 1, high, language)
                return text if text and self._takes(first, text[0]) else ""
        return ""

    def _hurried(self, depth: int) -> bool:
        return depth > _DEEP or self._length > _LONG

    def _option(self, options: tuple[Node, ...], depth: int) -> Node:
        if self._hurried(depth):
            return min(options, key=lambda option: _cost(option, self._cost))
        return self._rng.choice([option for option in options if _cost(option, self._cost) < _NEVER])

    def _repeat(self, node: Repeat, depth: int) -> None:
        item, low, high = node.item, node.low, node.high
        if high == 0 or (self._hurried(depth) and low == 0):
            return
        language = self._letters(item)
        if language and high != 1:
            self._emit(self._prose(item, low, high, language))
            return
        for _ in range(self._count(item, low, high, depth)):
            self._walk(item, depth + 1)

    def _count(self, item: Node, low: int, high: int | None, depth: int) -> int:
        if self._hurried(depth) or (self._takes(item, " ") and not self._takes(item, "0")):
            return low  # blanks between tokens are legal and never wanted
        wanted = max(low, 1) if self._takes(item, "0") else low + self._rng.randrange(3)
        return wanted if high is None else min(wanted, high)

    def _letters(self, item: Node) -> str | None:
        return next((language for language in self._languages if self._speaks(item, language)), None)

    def _speaks(self, item: Node, language: str) -> bool:
        return all(self._takes(item, char) for char in _LETTERS[language])

    def _prose(self, item: Node, low: int, high: int | None, language: str) -> str:
        wanted = max(low, self._typical if high is None else min(high, self._typical))
        source = sentences(language, wanted, self._rng)
        taken = {char for char in set(source) if self._takes(item, char)}
        text = "".join(char for char in source if char in taken)
        while len(text) < low:
            text += text or self._pick(item)
        if high is None or len(text) <= high:
            return text
        stop = text.rfind(".", 0, high) + 1
        return text[: stop if stop > low else high].rstrip() if low == 0 else text[: max(stop, low)]

    def _takes(self, node: Node, char: str, depth: int = 0) -> bool:
        """Whether the node derives exactly this one character."""
        if depth > _DEEP:
            return False
        match node:
            case Literal(text):
                return text == char
            case CharClass():
                return char in node
            case Sequence(items):
                return len(items) == 1 and self._takes(items[0], char, depth + 1)
            case Choice(options):
                return any(self._takes(option, char, depth + 1) for option in options)
            case Reference(name):
                return self._takes(self._rules[name], char, depth + 1)
            case Repeat(item, low, high):
                return low <= 1 and high != 0 and self._takes(item, char, depth + 1)

    def _pick(self, node: Node) -> str:
        """One plausible character of a class."""
        known = [char for char in _SAMPLE if self._takes(node, char)]
        if known:
            return self._rng.choice(known)
        if not isinstance(node, CharClass):
            return next(char for char in map(chr, range(0x20, 0x110000)) if self._takes(node, char))
        if node.negated:
            return next(char for char in map(chr, range(0x20, 0x110000)) if char in node)
        low, high = self._rng.choice(node.ranges)
        return chr(self._rng.randint(low, high))


def _cost(node: Node, rules: dict[str, int]) -> int:
    """Height of the shortest derivation, given those of the rules."""
    match node:
        case Literal() | CharClass():
            return 1
        case Sequence(items):
            return 1 + max((_cost(item, rules) for item in items), default=0)
        case Choice(options):
            return 1 + min(_cost(option, rules) for option in options)
        case Reference(name):
            return min(_NEVER, 1 + rules[name])
        case Repeat(item, low):
            return 1 + (_cost(item, rules) if low else 0)


def _shortest(rules: dict[str, Node]) -> dict[str, int]:
    """Height of the shortest derivation of each rule, by a fixed point."""
    costs = dict.fromkeys(rules, _NEVER)
    for _ in range(len(rules) + 1):
        found = {name: min(_NEVER, _cost(node, costs)) for name, node in rules.items()}
        if found == costs:
            break
        costs = found
    return costs


def words(grammar: Grammar, limit: int = 32) -> list[str] | None:
    """Every text of a small finite grammar, or None when there are more than `limit`."""
    try:
        return sorted(set(_words(grammar.rules[grammar.root], grammar.rules, limit, 0)))
    except OverflowError:
        return None


def _words(node: Node, rules: dict[str, Node], limit: int, depth: int) -> list[str]:
    if depth > _DEEP:
        raise OverflowError
    match node:
        case Literal(text):
            found = [text]
        case CharClass():
            found = _characters(node, limit)
        case Sequence(items):
            found = [""]
            for item in items:
                found = _pairs(found, _words(item, rules, limit, depth + 1), limit)
        case Choice(options):
            found = [word for option in options for word in _words(option, rules, limit, depth + 1)]
        case Reference(name):
            found = _words(rules[name], rules, limit, depth + 1)
        case Repeat():
            found = _repeated(node, rules, limit, depth)
    if len(found) > limit:
        raise OverflowError
    return found


def _characters(node: CharClass, limit: int) -> list[str]:
    if node.negated or sum(high - low + 1 for low, high in node.ranges) > limit:
        raise OverflowError
    return [chr(code) for low, high in node.ranges for code in range(low, high + 1)]


def _pairs(heads: list[str], tails: list[str], limit: int) -> list[str]:
    if len(heads) * len(tails) > limit:
        raise OverflowError
    return [head + tail for head in heads for tail in tails]


def _repeated(node: Repeat, rules: dict[str, Node], limit: int, depth: int) -> list[str]:
    if node.high is None or node.high > limit:
        raise OverflowError
    item = _words(node.item, rules, limit, depth + 1)
    found: list[str] = []
    row = [""]
    for count in range(node.high + 1):
        if count >= node.low:
            found += row
        row = _pairs(row, item, limit)
    return found
