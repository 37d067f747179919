"""A valid instance of a JSON schema, written as the engine writes it: `{"a": 1, "b": [true]}`."""

import json
from collections.abc import Mapping
from random import Random
from typing import Any, cast

from simulator.errors import GrammarError
from simulator.regexes import parse_regex
from simulator.text import sentences
from simulator.walker import Walker

Schema = Mapping[str, Any]

_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_REFUSED = (
    "contains", "dependentRequired", "dependentSchemas", "if", "then", "else", "not", "minContains", "maxContains",
    "multipleOf", "uniqueItems",
)  # fmt: skip
_FORMATS = {
    "date": "2026-03-14",
    "time": "09:30:00Z",
    "date-time": "2026-03-14T09:30:00Z",
    "email": "candidate@example.com",
    "uuid": "6f1c0d9e-3b52-4c1a-9a57-0e8f2d4b7c61",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}
_DEEP = 8


class SchemaWriter:
    """Writes instances of one schema.

    Raises:
        GrammarError: From the constructor, when an engine would not compile the schema.
    """

    def __init__(self, schema: Schema, rng: Random, typical_chars: int, language: str) -> None:
        self._whole = schema
        self._rng = rng
        self._typical = typical_chars
        self._language = language
        _check(schema, schema)

    def text(self) -> str:
        """The JSON text of one instance."""
        return json.dumps(self._value(self._whole, 0), ensure_ascii=False)

    def _value(self, schema: Schema, depth: int) -> object:
        if "$ref" in schema:
            return self._value(resolve(self._whole, schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._rng.choice(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._value(self._branch(schema[word], depth), depth + 1)
        if schema.get("allOf"):
            return self._value(schema["allOf"][0], depth + 1)
        return self._typed(schema, kind_of(schema, self._rng), depth)

    def _branch(self, options: list[Schema], depth: int) -> Schema:
        if depth <= _DEEP:
            return self._rng.choice(options)
        return next((option for option in options if option.get("type") == "null"), options[-1])

    def _typed(self, schema: Schema, kind: str, depth: int) -> object:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                low, high = _range(schema)
                return self._rng.randint(low, high)
            case "number":
                return self._number(schema)
            case "boolean":
                return self._rng.random() < 0.5  # noqa: PLR2004  a coin
            case _:
                return None

    def _number(self, schema: Schema) -> float:
        low = float(schema.get("minimum", schema.get("exclusiveMinimum", 0.0)))
        high = float(schema.get("maximum", schema.get("exclusiveMaximum", low + 100.0)))
        return round(low + (high - low) * self._rng.uniform(0.2, 0.8), 2)

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties = cast("dict[str, Schema]", schema.get("properties", {}))
        required = set(cast("list[str]", schema.get("required", [])))
        return {
            name: self._value(part, depth + 1)
            for name, part in properties.items()
            if name in required or depth <= _DEEP
        }

    def _array(self, schema: Schema, depth: int) -> list[object]:
        prefix = cast("list[Schema]", schema.get("prefixItems", []))
        row = [self._value(part, depth + 1) for part in prefix]
        items: object = schema.get("items", not prefix)
        low = int(schema.get("minItems", 0))
        high = int(schema.get("maxItems", max(low, len(row)) + 3))
        count = low if depth > _DEEP else max(low, min(high, low + self._rng.randrange(1, 4)))
        part = cast("Schema", items) if isinstance(items, Mapping) else {"type": "string"}
        while items is not False and len(row) < count:
            row.append(self._value(part, depth + 1))
        return row

    def _string(self, schema: Schema) -> str:
        if "pattern" in schema:
            return Walker(parse_regex(schema["pattern"]), self._rng, self._typical).text()
        if "format" in schema:
            return _FORMATS.get(schema["format"], "text")
        low, high = int(schema.get("minLength", 0)), schema.get("maxLength")
        wanted = max(low, self._typical if high is None else min(int(high), self._typical))
        text = sentences(self._language, max(wanted, 1), self._rng)
        if high is None or len(text) <= int(high):
            return text
        stop = text.rfind(".", 0, int(high)) + 1
        return text[: stop if stop > low else int(high)]


def kind_of(schema: Schema, rng: Random) -> str:
    """The type to write, also when the schema only hints at it."""
    kind: object = schema.get("type")
    if isinstance(kind, list):
        return rng.choice(cast("list[str]", kind))
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def resolve(whole: Schema, pointer: str) -> Schema:
    """The schema a local `$ref` points to."""
    node: Any = whole
    for part in pointer.removeprefix("#").split("/")[1:]:
        if not isinstance(node, Mapping) or part not in node:
            raise GrammarError(f"Cannot find field {part} in {pointer}")
        node = cast("Schema", node)[part]
    return cast("Schema", node)


def _range(schema: Schema) -> tuple[int, int]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", max(int(low), 0) + 101) - 1)
    return int(low), int(high)


def _check(schema: Schema, whole: Schema) -> None:
    """Refuse what the engine's compiler refuses, in its words."""
    for word in _REFUSED:
        if word in schema:
            raise GrammarError(f'Unsupported JSON schema keyword "{word}"')
    if "$ref" in schema:
        resolve(whole, schema["$ref"])
    kinds: object = schema.get("type")
    for kind in cast("list[object]", kinds) if isinstance(kinds, list) else [kinds]:
        if kind is not None and kind not in _TYPES:
            raise GrammarError(f'Unsupported type "{kind}"')
    bounded = kinds in ("integer", "number") and {"minimum", "maximum"} <= schema.keys()
    if bounded and schema["minimum"] > schema["maximum"]:
        raise GrammarError("Invalid range: minimum greater than maximum")
    if isinstance(schema.get("pattern"), str):
        parse_regex(schema["pattern"])
    for part in _parts(schema):
        _check(part, whole)


def _parts(schema: Schema) -> list[Schema]:
    """The schemas directly inside this one."""
    parts: list[Any] = []
    for word in ("properties", "$defs", "definitions"):
        parts += cast("dict[str, Any]", schema.get(word, {})).values()
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        parts += schema.get(word, [])
    parts += [schema.get("items"), schema.get("additionalProperties")]
    return [cast("Schema", part) for part in parts if isinstance(part, Mapping)]
