"""Shape[A]: a model of what may be said, with everything that follows from it: beginning, grammar, bounds, fields."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import CoreConfig, SchemaValidator

from app.core.begun import begun_of
from app.core.grammar import CLOSERS, MARKS, given, grammar_for, shares, text_bounds, word_fields
from app.core.llm_engine import LLMEngine
from app.core.partial_json import PartialJson
from app.core.prompt_builder import LANGUAGES, Language
from app.core.sentences import sentences_of

A = TypeVar("A", bound=BaseModel)

_ENDING = re.compile(rf"[{MARKS}{CLOSERS}\s]+$")
_SOON = 200  # characters: a short last field may be over before anybody has seen it begin
_INSIDE = re.compile(f"[{MARKS}][0-9a-z]")


class Shape(Generic[A]):
    """What the model must say, keys in the order in which it says them.

    ``counted`` is the same where the engine counts sentences: a text ends with as many as its field may have
    (``app.core.grammar.at_most``).

    Attributes:
        model: As a pydantic model.
        begun: What every answer begins with: the engine is given it, and goes on from there.
        opens: The top-level field whose text that opens; empty if it opens none.
        bounds: The longest text of each field, by its path of keys.
        words: The fields whose texts come from a fixed set of words.
        shortest: The least of the bounds of texts that are free.
        tail: The top-level field from which on an answer may soon be over.
    """

    def __init__(self, model: type[A], *, counted: bool = False) -> None:
        self.model = model
        self.begun = begun_of(model)
        self.opens = _open_field(self.begun)
        self.bounds = text_bounds(model)
        self.words = word_fields(model)
        self.shortest = min((most for path, most in self.bounds.items() if path[-1] not in self.words), default=0)
        self.tail = self._tail()
        self._given = given(model).get(self.opens, 0)
        self._shares: Mapping[str, int] = shares(model) if counted else {}
        # Values are somebody's words: by default pydantic keeps the short ones of all answers in a cache.
        self._reader = SchemaValidator(model.__pydantic_core_schema__, CoreConfig(cache_strings="keys"))

    @cached_property
    def grammars(self) -> Mapping[Language, str]:
        """The decoding grammar of what follows ``begun``, by language: few fixed texts, compiled once by engines."""
        counted = bool(self._shares)
        return {language: grammar_for(self.model, language, self.begun, counted=counted) for language in LANGUAGES}

    @cached_property
    def counted(self) -> "Shape[A]":
        """See above; itself if there is nothing to count."""
        return Shape(self.model, counted=True) if shares(self.model) else self

    def on(self, engine: LLMEngine) -> "Shape[A]":
        """``counted`` where ``engine`` counts sentences, else itself."""
        return self.counted if engine.counts_sentences else self

    @property
    def fields(self) -> tuple[str, ...]:
        """The top-level fields in the order in which they are said."""
        return tuple(dict.fromkeys(path[0] for path in self.bounds))

    def stopped(self, name: str, text: str) -> int | None:
        """How much of ``text``, the top-level field ``name``, had been said when the grammar stopped it, if it did.

        Characters: all at its bound, or up to the end of a sentence that is as long as one may be.
        """
        most = None if name in self.words else self.bounds.get((name,))
        if most is not None and len(text) >= most - (self._given if name == self.opens else 0):
            return len(text)
        begin, room = 0, self._shares.get(name)
        if room is None:
            return None
        for sentence in sentences_of(text):
            said = _ENDING.sub("", sentence)
            if len(said) - 2 * len(_INSIDE.findall(said)) >= room:
                return begin + len(said)
            begin += len(sentence)
        return None

    def _tail(self) -> str:
        """The last field that has room for so much, with those behind it."""
        room, name = 0, ""
        for name in reversed(self.fields):
            room += self.bounds[name,]
            if room >= _SOON:
                break
        return name

    def read(self, text: str) -> A:
        """The answer that ``text`` is.

        Raises:
            ValidationError: it is none.
        """
        return self._reader.validate_json(text)


def _open_field(begun: str) -> str:
    read = PartialJson()
    read.feed(begun)
    path = read.open_path
    return path[0] if path is not None and len(path) == 1 and isinstance(path[0], str) else ""
