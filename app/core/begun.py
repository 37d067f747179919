"""What an answer begins with, whatever it says: known before a model is asked, so the model need not write it. Pure.

A token that a grammar leaves no choice about costs an engine as much as any other: 25 ms each on a large model, and
the first words of a JSON are ten of them. So they are given to the engine as the beginning of its answer, to be read
with the prompt, and the grammar (``app.core.grammar``) is that of the rest.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from os.path import commonprefix
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]


@lru_cache
def schema_of(model: type[BaseModel]) -> Schema:
    """The JSON schema of ``model``, made once: a start of the service asks for those of fifty shapes several times."""
    return model.model_json_schema()


def begun_of(model: type[BaseModel]) -> str:
    """The beginning that all JSON of ``model`` has in common, keys in the order of its fields, without white space.

    It ends where a token ends, too: behind the quotation mark that opens a text, or before the one that closes a key.
    Tokenizers join that one with what follows (``":"`` is one token, and so is ``":`` before a number).
    """
    schema = schema_of(model)
    text, _ = _known(schema, schema.get("$defs", {}))
    if text.count('"') % 2:  # within a text: of words that begin alike, all but the quotation mark is theirs to choose
        return text[: text.rindex('"') + 1]
    return text.removesuffix('":')


def alike(texts: Sequence[str]) -> str:
    """What all ``texts`` begin with."""
    return commonprefix(texts)  # noqa: RUF071  character by character: these are no paths


def _known(schema: Schema, definitions: Mapping[str, Schema]) -> tuple[str, bool]:
    """What all values begin with, and whether that is all of them."""
    if "$ref" in schema:
        return _known(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        return alike([_known(option, definitions)[0] for option in schema["anyOf"]]), False
    if "enum" in schema or "const" in schema:
        words = [json_of(word) for word in schema.get("enum") or [schema["const"]]]
        return alike(words), len(words) == 1
    match schema.get("type"):
        case "object":
            return _known_object(schema, definitions)
        case "string":
            return '"', False
        case "null":
            return "null", True
        case "integer" if schema.get("minimum", 0) == schema.get("maximum", 1):
            return str(schema["minimum"]), True
        case _:
            return "", False


def _known_object(schema: Schema, definitions: Mapping[str, Schema]) -> tuple[str, bool]:
    text = "{"
    for index, (key, value) in enumerate(schema.get("properties", {}).items()):
        known, whole = _known(value, definitions)
        text += f"{',' if index else ''}{json_of(key)}:{known}"
        if not whole:
            return text, False
    return text + "}", True


def json_of(value: object) -> str:
    """A key or a word as the answers write it."""
    return json.dumps(value, ensure_ascii=False)
