"""What a task says while its answer is written, and what it takes back at the end. No HTTP."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from app.core.partial_json import Delta, PartialEvent
from app.core.sentences import SentenceSplitter
from app.telemetry.record import current


@dataclass(frozen=True, slots=True)
class Started:
    """The request has its place at the engine; the fields come in this order."""

    task: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A small value is complete: a number, a word of a fixed set, a null."""

    field: str
    value: object


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of a text, whole characters; ``sentence_end`` if a sentence is complete with it."""

    field: str
    text: str
    sentence_end: bool


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was told of this field is not what the answer says: this is."""

    field: str
    value: object


Progress: TypeAlias = Started | Field | TextDelta | Replaced

_NOT_TOLD = {"meta"}


class Teller:
    """Turns the events of a growing answer into what callers hear, and remembers it."""

    def __init__(self, words: frozenset[str]) -> None:
        """``words`` are the string fields with a fixed set of values: told whole, not letter by letter."""
        self._words = words
        self._splitters: dict[str, SentenceSplitter] = {}
        self._told: set[str] = set()
        self._sentences = False

    def tell(self, event: PartialEvent) -> Iterator[Progress]:
        """What to say of ``event``."""
        field = ".".join(map(str, event.path))
        word = event.path[-1] in self._words
        if isinstance(event, Delta):
            if not word:
                self._told.add(field)
                splitter = self._splitters.setdefault(field, SentenceSplitter())
                for text, end in splitter.feed(event.text):
                    if end:
                        self._note_sentence()
                    yield TextDelta(field, text, end)
        elif field in self._splitters:
            self._note_sentence()
            yield from (TextDelta(field, text, end) for text, end in self._splitters.pop(field).close())
        else:
            self._told.add(field)
            yield Field(field, event.value)

    def _note_sentence(self) -> None:
        if self._sentences:
            return
        self._sentences = True
        if (record := current()) is not None:
            record.sentence()

    def correct(self, said: Mapping[str, Any], answer: BaseModel) -> Iterator[Progress]:
        """What to add so that callers have heard exactly ``answer``.

        Args:
            said: What the told attempt said in the end, broken off or not.
            answer: The settled body.
        """
        heard = {field.split(".")[0] for field in self._told}
        for name, value in cast("dict[str, object]", answer.model_dump(mode="json")).items():
            if name in _NOT_TOLD or (name in heard and said.get(name) == value):
                continue
            yield Replaced(name, value) if name in heard else Field(name, value)
