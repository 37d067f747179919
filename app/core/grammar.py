"""A pydantic model -> the exact decoding grammar of its JSON. Pure.

The text is the common subset of two notations: EBNF as SGLang's ``ebnf`` field takes it (xgrammar) and GBNF as
llama.cpp's ``grammar`` field takes it. What a JSON schema cannot say and this does: no white space between tokens,
keys in a fixed order, integers inside their bounds, strings without control characters and, by positive classes, only
of the characters named in ``TEXT_CLASS`` (xgrammar clamps negated classes to ASCII, so those would let Han through).
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from pydantic import BaseModel
from pydantic.config import JsonDict

from app.core.begun import Schema, alike, json_of, schema_of
from app.core.prompt_builder import Language

# Split in two on purpose: xgrammar 0.2.7 compiles [\uAC00-\uD7A3] to a class that refuses U+D000 to U+D77F, 1,920
# syllables with 하, 한 and 해 among them.
_HANGUL = r"\uAC00-\uCFFF\uD000-\uD7A3"
# Hangul, ASCII without `"` and `\`, the punctuation of Korean and English prose: no Han, no kana. No `|` either:
# without it no `<|...|>` can be written, which xgrammar would let the model write as the control token. No escapes: a
# bounded repetition of one class costs xgrammar 0.4 ms a token on Qwen's vocabulary, of a class or an escape 770 ms.
# Below U+0100 characters stand for themselves: llguidance's converter reads \u00B0 as \uB0. The hyphen is the last of a
# class and stands beside no other one: behind `--`, `&&` and `~~` llguidance takes away from a class what follows. A
# class with `*--/` in it had lost all Hangul.
MARKS = r".!?\u2026"
"""What ends a sentence, for a class of characters."""
CLOSERS = r"')\]\u2019\u201D"
"""What may stand behind such a mark."""
_LATIN = "0-9A-Za-z"
_OTHERS = (
    r"#-&(*-,/:-<=->@\[^-`{}~°-±·×÷\u2013-\u2014\u2018\u201C\u2022\u2190-\u2193\u2264-\u2265"  # noqa: RUF001  the sign of multiplication
    r"\u3131-\u318E" + _HANGUL + "-"
)
TEXT_CLASS = f"[ {MARKS}{CLOSERS}{_LATIN}{_OTHERS}]"
# A text begins with a letter, a digit or an opening mark: small models otherwise begin with a stray comma.
_OPENING = rf"[A-Za-z0-9(\[<'\u2018\u201C{_HANGUL}]"
# Korean prose begins with Hangul. The language of an answer is decided at its first letter: without this a small model
# answers a Korean prompt in English now and then, and writes the word "null" as a text.
_FIRST: Mapping[Language, str] = {"ko": f"[{_HANGUL}]", "en": _OPENING}

_SENTENCES = "x-sentences"
_GIVEN = "x-given"
QUOTE: JsonDict = {"x-text": "quote"}
"""``json_schema_extra`` of a field that repeats the caller's words and so may begin with any letter."""

_INSIDE = 3  # marks in one name or number: "1.2.3.4"
_END = 5  # characters that may end a sentence: "...')"
# Of texts whose sentences are counted: a mark between Latin letters or digits ends none ("3.5초", "Node.js"). Any other
# does: a small model that may not go on behind a sentence leaves out the space ("...합니다.jwt는 ..."). Hardly two of
# these could stand in one place, so an engine follows one path.
_COUNTED: Mapping[str, str] = {
    "mark": f"[{MARKS}]",
    "closer": f"[{CLOSERS}]",
    "plain": f"[ {CLOSERS}{_OTHERS}]",
    "latin": f"[{_LATIN}]",
    "inside": "mark [0-9a-z]",
    "said": f"(plain | latin inside{{0,{_INSIDE}}})",
    "next": f"['{_LATIN}{_OTHERS}]",
    "end": f"mark{{1,{_END - 2}}} closer? closer?",
}


def at_most(count: int) -> JsonDict:
    """``json_schema_extra`` of a bounded text that has at most ``count`` sentences, where they are counted."""
    return {_SENTENCES: count}


def goes_on(most: int) -> JsonDict:
    """``json_schema_extra`` of a bounded text that goes on behind a first sentence of up to ``most`` characters.

    So it does where the beginning of an answer opens it: the engine is given that sentence with it.
    """
    return {_GIVEN: most}


def share(most: int, count: int) -> int:
    """Characters of each of ``count`` sentences of a text of ``most``, without its end.

    Marks inside it, with the character behind each, do not count: a text that is full of them can be too long.
    """
    return (most - (count - 1)) // count - _END


_Bound: TypeAlias = tuple[tuple[str, ...], int]

# What a schema may say: each of these is either exact in the grammar or means nothing to it.
_KEYWORDS = {
    *("$defs", "$ref", "anyOf", "const", "enum", "type", "default", "description", "examples", "title", "x-text"),
    *("additionalProperties", "properties", "required", "items", "maxItems", "minItems"),
    *("maxLength", "minLength", "maximum", "minimum", _SENTENCES, _GIVEN),
}


def grammar_for(model: type[BaseModel], language: Language, begun: str = "", *, counted: bool = False) -> str:
    """The grammar (start rule ``root``) whose every sentence is JSON that ``model`` accepts, texts in ``language``.

    Keys come in the order in which the model declares its fields. Supported: str (with length bounds), int (with both
    bounds), bool, Literal of strings, optional fields, lists and nested models. Behind ``begun``, with which all that
    JSON begins (``begun_of``), it is the grammar of the rest. If ``counted``, a text ends with as many sentences as
    its field may have (``at_most``), and ``model`` may find it too long (``share``).

    Raises:
        ValueError: the model holds a type that has no exact grammar here, or not all of its JSON begins so.
    """
    schema = schema_of(model)
    return _Writer(schema.get("$defs", {}), language, begun, counted=counted).write(schema)


def text_bounds(model: type[BaseModel]) -> Mapping[tuple[str, ...], int]:
    """The longest text of each field in any shape of ``model``, by its path of keys; list items under the list's key.

    Fields that are not texts, and texts without a bound, are there too: with the largest number there is.
    """
    schema = schema_of(model)
    bounds: dict[tuple[str, ...], int] = {}
    for path, most in _bounds((), schema, schema.get("$defs", {})):
        bounds[path] = max(most, bounds.get(path, 0))
    return {path: most or sys.maxsize for path, most in bounds.items()}


def _bounds(path: tuple[str, ...], schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[_Bound]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            yield from _bounds(path, option, definitions)
    if "properties" in schema:
        for key, value in schema["properties"].items():
            yield (*path, key), 0  # no bound seen yet
            yield from _bounds((*path, key), value, definitions)
    elif "items" in schema:
        yield from _bounds(path, schema["items"], definitions)
    elif "maxLength" in schema:
        yield path, schema["maxLength"]
    elif words := schema.get("enum", [schema["const"]] if "const" in schema else []):
        yield path, max(map(len, words))


def shares(model: type[BaseModel]) -> Mapping[str, int]:
    """Of each field whose sentences can be counted: how long one may be (see ``share``)."""
    texts = [(name, text) for name, value in _properties(model) for text in _texts(value)]
    return {name: share(text["maxLength"], text[_SENTENCES]) for name, text in texts if _SENTENCES in text}


def given(model: type[BaseModel]) -> Mapping[str, int]:
    """Of each field whose first sentence may be given (``goes_on``): how long that may be, with the blank behind it."""
    return {name: value[_GIVEN] + 1 for name, value in _properties(model) if _GIVEN in value}


def _texts(schema: Schema) -> Sequence[Schema]:
    """What a value may be; of an optional text the number of sentences stands beside its two kinds."""
    count = {_SENTENCES: schema[_SENTENCES]} if _SENTENCES in schema else {}
    options = schema.get("anyOf", [schema])
    return [count | option if "maxLength" in option else option for option in options]


def word_fields(model: type[BaseModel]) -> frozenset[str]:
    """The names of the fields whose texts come from a fixed set of words."""
    return frozenset(name for name, value in _properties(model) if "enum" in value or "const" in value)


def _properties(model: type[BaseModel]) -> list[tuple[str, Schema]]:
    """The fields of all models in ``model``."""
    schema = schema_of(model)
    models = [schema, *schema.get("$defs", {}).values()]
    return [item for one in models for item in one.get("properties", {}).items()]


class _Writer:
    """Collects named rules while it walks a schema."""

    def __init__(self, definitions: Mapping[str, Schema], language: Language, begun: str, *, counted: bool) -> None:
        self._definitions = definitions
        self._begun = begun  # what is left of it
        self._rules: dict[str, str] = {}
        self._shared = {
            "text": TEXT_CLASS,
            "first": _FIRST[language],
            "opening": _OPENING,
            **(_COUNTED if counted else {}),
        }
        self._counted = counted

    def write(self, schema: Schema) -> str:
        rules = {"root": self._expression("root", schema)} | self._rules | self._shared
        if self._begun:
            raise ValueError(f"not all that JSON goes on with {self._begun!r}")
        return "".join(f"{name} ::= {body}\n" for name, body in rules.items())

    def _expression(self, name: str, schema: Schema) -> str:
        _require_known(name, schema)
        if "$ref" in schema:
            return self._reference(name, schema["$ref"])
        if "anyOf" in schema:
            return self._options(name, _texts(schema))
        if "enum" in schema or "const" in schema:
            return self._words(schema.get("enum") or [schema["const"]])
        match schema.get("type"):
            case "object":
                return self._object(name, schema)
            case "array":
                return self._array(name, schema)
            case "string":
                return self._string(schema)
            case "integer":
                return self._integer(schema)
            case "boolean":
                return '("true" | "false")'
            case "null":
                return self._literal("null")
            case other:
                raise ValueError(f"no exact grammar for type {other!r} at {name}")

    def _literal(self, text: str) -> str:
        """``text``, without what of it has been said."""
        said = alike([text, self._begun])
        self._begun = self._begun[len(said) :]
        left = text[len(said) :]
        if left and self._begun:
            raise ValueError(f"{text!r} stands where {self._begun!r} has been said")
        return _quoted(left) if left else ""

    def _options(self, name: str, options: Sequence[Schema]) -> str:
        """A choice; all that can be chosen begins as what has been said."""
        begun, written, left = self._begun, list[str](), list[str]()
        for index, option in enumerate(options):
            self._begun = begun
            written.append(self._expression(f"{name}-{index}", option))
            left.append(self._begun)
        self._begun = max(left, key=len)
        return "(" + " | ".join(written) + ")"

    def _words(self, words: Sequence[object]) -> str:
        texts = [json_of(word) for word in words if isinstance(word, str)]
        if len(texts) < len(words):
            raise ValueError("no exact grammar for a choice between values that are not all texts")
        if len(texts) == 1:
            return self._literal(texts[0])
        begun, self._begun = self._begun, ""
        if not all(text.startswith(begun) for text in texts):
            raise ValueError(f"not all of {', '.join(texts)} begin with {begun!r}")
        return "(" + " | ".join(_quoted(text[len(begun) :]) for text in texts) + ")"

    def _integer(self, schema: Schema) -> str:
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is None or high is None or not 0 <= low <= high:
            raise ValueError("an integer needs both bounds, in order and none below zero")
        return self._literal(str(low)) if low == high else "(" + " | ".join(_ranges(low, high)) + ")"

    def _reference(self, name: str, reference: str) -> str:
        definition = reference.rsplit("/", 1)[-1]
        if self._begun:  # what has been said of it has not been said of others like it
            return self._expression(name, self._definitions[definition])
        rule = f"model-{definition.lower().replace('_', '-')}"
        if rule not in self._rules:
            self._rules[rule] = ""  # reserves the name, so that a rule may refer to itself
            self._rules[rule] = self._expression(rule, self._definitions[definition])
        return rule

    def _object(self, name: str, schema: Schema) -> str:
        parts: list[str] = []
        properties: Mapping[str, Schema] | None = schema.get("properties")
        if properties is None:
            raise ValueError(f"the keys of the object at {name} are not known")
        for index, (key, value) in enumerate(properties.items()):
            lead = "{" if index == 0 else ","
            parts.append(self._literal(f"{lead}{json_of(key)}:"))
            parts.append(self._expression(f"{name}-{key.replace('_', '-')}", value))
        return " ".join(filter(None, [*parts, self._literal("}" if properties else "{}")]))

    def _array(self, name: str, schema: Schema) -> str:
        if self._begun:
            raise ValueError(f"the list at {name} stands where {self._begun!r} has been said")
        item = f"{name}-item"
        self._rules[item] = self._expression(item, schema["items"])
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most is None:
            raise ValueError(f"the list at {name} has no upper bound")
        _require_room(least, most)
        more = f"({_quoted(',')} {item}){{{max(0, least - 1)},{most - 1}}}"
        filled = f"{_quoted('[')} {item} {more} {_quoted(']')}"
        return filled if least else f"({_quoted('[]')} | {filled})"

    def _string(self, schema: Schema) -> str:
        """A text between quotes; what stands there is a rule of its own, which llguidance makes one expression of."""
        least = cast("int", schema.get("minLength", 0))
        most = cast("int | None", schema.get("maxLength"))
        opened = self._literal('"')
        blank = ""
        if most is not None and _GIVEN in schema and not opened:
            most, blank = most - schema[_GIVEN] - 1, _quoted(" ")
        if most is not None:
            _require_room(least, most)
        begin = "opening" if schema.get("x-text") == "quote" else "first"
        rule = f"{begin}-{least}-{most or 'any'}"
        more = max(0, least - 1)
        if self._counted and most is not None and (count := schema.get(_SENTENCES)):
            rule += f"-of-{count}"
            self._rules[rule] = _sentences(begin, least, share(most, count), count)
        else:
            bound = "*" if most is None and not more else f"{{{more},{'' if most is None else most - 1}}}"
            self._rules[rule] = f"{begin} text{bound}"
        text = rule if least else f"({rule})?"
        return " ".join(filter(None, (opened, blank, text, self._literal('"'))))


def _sentences(begin: str, least: int, most: int, count: int) -> str:
    """Up to ``count`` sentences, the first of at least ``least`` characters, each of at most ``most`` (see ``share``).

    Only behind the end of a sentence can there be another one; the last may lack its end.
    """
    rest = "end?"
    for _ in range(count - 1):
        rest = f"(end ({_quoted(' ')} next said{{0,{most - 1}}} {rest})?)?"
    return f"{begin} said{{{max(0, least - 1)},{most - 1}}} {rest}"


def _require_known(name: str, schema: Schema) -> None:
    if unknown := schema.keys() - _KEYWORDS:
        raise ValueError(f"no exact grammar for {', '.join(sorted(unknown))} at {name}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _require_room(least: int, most: int) -> None:
    if most < max(least, 1):
        raise ValueError(f"nothing is {least} to {most} long")


def _ranges(low: int, high: int) -> Iterator[str]:
    """Digit patterns that together cover ``low``..``high``, longest numbers first, each number exactly once."""
    for digits in range(len(str(high)), len(str(low)) - 1, -1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        last = min(high, 10**digits - 1)
        yield from _same_length(str(first), str(last))


def _same_length(first: str, last: str) -> Iterator[str]:
    if first == last:
        yield _quoted(first)
    elif len(first) == 1:
        yield f"[{first}-{last}]"
    elif set(first[1:]) == {"0"} and set(last[1:]) == {"9"}:
        lead = _quoted(first[0]) if first[0] == last[0] else f"[{first[0]}-{last[0]}]"
        yield " ".join([lead, *["[0-9]"] * (len(first) - 1)])
    elif first[0] == last[0]:
        for rest in _same_length(first[1:], last[1:]):
            yield f"{_quoted(first[0])} {rest}"
    else:
        zeros, nines = "0" * (len(first) - 1), "9" * (len(first) - 1)
        yield from _same_length(first, first[0] + nines) if first[1:] != zeros else ()
        low = int(first[0]) + (first[1:] != zeros)
        high = int(last[0]) - (last[1:] != nines)
        if low <= high:
            yield from _same_length(f"{low}{zeros}", f"{high}{nines}")
        yield from _same_length(last[0] + zeros, last) if last[1:] != nines else ()
