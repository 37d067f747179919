"""Shape[A]: a model of what may be said, with everything that follows from it: grammar, bounds, fields."""

from collections.abc import Mapping
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import BaseModel

from app.core.grammar import grammar_for, text_bounds, word_fields
from app.core.prompt_builder import LANGUAGES, Language

A = TypeVar("A", bound=BaseModel)


class Shape(Generic[A]):
    """What the model must say, keys in the order in which it says them.

    Attributes:
        model: As a pydantic model.
    """

    def __init__(self, model: type[A]) -> None:
        self.model = model

    @cached_property
    def grammars(self) -> Mapping[Language, str]:
        """The decoding grammar by language: few and fixed texts, so that engines compile them once."""
        return {language: grammar_for(self.model, language) for language in LANGUAGES}

    @cached_property
    def bounds(self) -> Mapping[tuple[str, ...], int]:
        """The longest text of each field, by its path of keys."""
        return text_bounds(self.model)

    @cached_property
    def words(self) -> frozenset[str]:
        """The fields whose texts come from a fixed set of words."""
        return word_fields(self.model)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The top-level fields in the order in which they are said."""
        return tuple(dict.fromkeys(path[0] for path in self.bounds))
