"""Shape[A]: a model of what may be said, with everything that follows from it: beginning, grammar, bounds, fields."""

from collections.abc import Mapping
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import CoreConfig, SchemaValidator

from app.core.begun import begun_of
from app.core.grammar import grammar_for, text_bounds, word_fields
from app.core.prompt_builder import LANGUAGES, Language

A = TypeVar("A", bound=BaseModel)


class Shape(Generic[A]):
    """What the model must say, keys in the order in which it says them.

    Attributes:
        model: As a pydantic model.
        begun: What every answer begins with: the engine is given it, and goes on from there.
        bounds: The longest text of each field, by its path of keys.
        words: The fields whose texts come from a fixed set of words.
        shortest: The least of the bounds of texts that are free.
    """

    def __init__(self, model: type[A]) -> None:
        self.model = model
        self.begun = begun_of(model)
        self.bounds = text_bounds(model)
        self.words = word_fields(model)
        self.shortest = min((most for path, most in self.bounds.items() if path[-1] not in self.words), default=0)
        # Values are somebody's words: by default pydantic keeps the short ones of all answers in a cache.
        self._reader = SchemaValidator(model.__pydantic_core_schema__, CoreConfig(cache_strings="keys"))

    @cached_property
    def grammars(self) -> Mapping[Language, str]:
        """The decoding grammar of what follows ``begun``, by language: few fixed texts, compiled once by engines."""
        return {language: grammar_for(self.model, language, self.begun) for language in LANGUAGES}

    @property
    def fields(self) -> tuple[str, ...]:
        """The top-level fields in the order in which they are said."""
        return tuple(dict.fromkeys(path[0] for path in self.bounds))

    def read(self, text: str) -> A:
        """The answer that ``text`` is.

        Raises:
            ValidationError: it is none.
        """
        return self._reader.validate_json(text)
