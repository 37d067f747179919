"""One answer asked of the model: at most two attempts, read while they are written, closed if both break."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Generic, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from app.core.generation import Generation, Message, Usage
from app.core.llm_engine import Slot
from app.errors import EngineFailure, ServiceError
from app.tasks.attempt import Attempt, Ending, Patience
from app.tasks.closing import end_sentences
from app.tasks.events import Progress, Teller
from app.tasks.shape import Shape
from app.telemetry.record import current

A = TypeVar("A", bound=BaseModel)

_ATTEMPTS = 2
_LEAST_TIME = 1.0  # seconds in which a second attempt could still say something
_MERELY_LONG = {"string_too_long", "too_long"}

log = structlog.get_logger("task")


def _nothing_against(_: Any) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """What is asked, and what makes an answer right.

    Attributes:
        name: For logs.
        shape: What the model must say.
        generation: What is asked of the engine; its grammar is that of ``shape``.
        close: Pure: what was said of a broken answer and the top-level field in which it broke off -> the shortest
            legal answer, and what was done to get it.
        object: Pure: what is wrong with a legal answer, in words for the model, or None.
        mend: Pure: an answer that is still wrong the second time -> one that is right, and what was done to get it.
        finish: Pure: any answer -> one that lacks nothing, and what was done to get it.
    """

    name: str
    shape: Shape[A]
    generation: Generation
    close: Callable[[Mapping[str, Any], str | None], tuple[A, list[str]]]
    object: Callable[[A], str | None] = field(default=_nothing_against)
    mend: Callable[[A], tuple[A, list[str]]] | None = None
    finish: Callable[[A], tuple[A, list[str]]] | None = None


class Asking(Generic[A]):
    """One question on its way to an answer.

    Attributes:
        teller: Turns what is said into what callers hear.
        repaired: What was changed to fit the contract; complete when ``events`` has ended.
    """

    def __init__(self, question: Question[A], patience: Patience) -> None:
        self._question = question
        self._generation = question.generation
        self._patience = patience
        self._attempts: list[Attempt] = []
        self._answer: A | None = None
        self.teller = Teller(question.shape.words)
        self.repaired: list[str] = []

    @property
    def answer(self) -> A:
        """The answer; only when ``events`` has ended."""
        if self._answer is None:
            raise RuntimeError("there is no answer before the last event")
        return self._answer

    @property
    def attempts(self) -> int:
        """Generations that it took."""
        return len(self._attempts)

    @property
    def ending(self) -> Ending:
        """Why the last generation ended."""
        return self._attempts[-1].ending

    @property
    def usage(self) -> Usage:
        """Tokens spent in all attempts."""
        return reduce(Usage.and_of, (attempt.usage for attempt in self._attempts), Usage())

    @property
    def told(self) -> Mapping[str, Any]:
        """What the first attempt said: only that one is told as it comes, because callers cannot unhear it."""
        return self._attempts[0].json.value

    def give_up(self) -> None:
        """Let the shortest legal answer stand for one that the engine refused to give."""
        self._answer, self.repaired = self._question.close({}, None)

    async def run(self, slot: Slot) -> A:
        """The answer, with nobody listening.

        Raises:
            ServiceError: see ``events``.
        """
        async with aclosing(self.events(slot, live=False)) as events:
            async for _ in events:
                pass
        return self.answer

    async def events(self, slot: Slot, *, live: bool) -> AsyncGenerator[Progress, None]:
        """Ask until the answer stands, and tell it as it is said; unless somebody hears it ``live``, tell nothing.

        Raises:
            ServiceError: the engine refused (see ``Slot.stream``).
            EngineFailure: the engine said nothing at all.
            DeadlineExceeded: not in the time there was.
        """
        read: tuple[A, list[str]] | None = None
        wrong: str | None = None
        while (read is None or wrong) and self._worth_asking():
            attempt = Attempt(self._question.shape, self._patience)
            first = not self._attempts
            self._attempts.append(attempt)
            try:
                async with aclosing(attempt.events(slot, self._generation, again=not first, live=live)) as events:
                    async for event in events:
                        for progress in self.teller.tell(event) if first else ():
                            yield progress
            except ServiceError:
                if first:
                    raise
                break  # what the first attempt said is worth more than the refusal of the second
            if (record := current()) is not None:
                record.attempted(attempt.ending)
            read, wrong = self._judge(attempt, read)
            self._generation = _varied(self._generation, wrong)
        self._settle(read, wrong)
        if not live and (record := current()) is not None:
            record.sentence()  # heard as soon as it is whole

    def _judge(
        self, attempt: Attempt, earlier: tuple[A, list[str]] | None
    ) -> tuple[tuple[A, list[str]] | None, str | None]:
        """What an attempt is worth, and what is wrong with it; a legal answer is kept when the second one breaks."""
        read = self._read(attempt) or earlier
        return read, self._question.object(read[0]) if read else None

    def _settle(self, read: tuple[A, list[str]] | None, wrong: str | None) -> None:
        if read is None:
            read = self._closed()
            wrong = self._question.object(read[0])
        answer, self.repaired = read
        self._answer, cut = end_sentences(answer, self._question.shape)
        self.repaired = list(dict.fromkeys([*self.repaired, *cut]))
        for change in (self._question.mend if wrong else None, self._question.finish):
            if change is not None:
                self._answer, repaired = change(self._answer)
                self.repaired = [*self.repaired, *repaired]

    def _worth_asking(self) -> bool:
        if not self._attempts:
            return True
        return len(self._attempts) < _ATTEMPTS and self._patience.left() > _LEAST_TIME

    def _closed(self) -> tuple[A, list[str]]:
        """The fullest attempt, closed."""
        if all(attempt.silent for attempt in self._attempts):
            if self.ending == "deadline":
                raise self._patience.deadline.exceeded()
            raise EngineFailure("The model's server did not answer. Repeat the call.")
        best = max(self._attempts, key=lambda attempt: len(attempt.json.value))
        return self._question.close(best.json.value, best.json.open_field)

    def _read(self, attempt: Attempt) -> tuple[A, list[str]] | None:
        """The answer of ``attempt`` if it is whole, and what had to be cut; None if it broke the contract.

        An answer that lacks only its last brackets, or only runs on after them, is whole.
        """
        try:
            return self._question.shape.read(attempt.text), []
        except ValidationError as error:
            log.warning(
                "contract broken",
                task=self._question.name,
                ending=attempt.ending,
                length=len(attempt.text),
                faults=_faults(error),
            )
            merely_long = all(item["type"] in _MERELY_LONG for item in error.errors(include_input=False))
        answer, repaired = self._question.close(attempt.json.value, attempt.json.open_field)
        return (answer, repaired) if merely_long or not repaired else None


def _varied(generation: Generation, wrong: str | None) -> Generation:
    """The second try: other sampling, since the same prompt at temperature 0 would fail the same way.

    The objection, if there is one, comes last, so that the prompt before it is still in the engine's prefix cache.
    """
    sampling = generation.sampling
    varied = sampling._replace(temperature=min(1.0, sampling.temperature + 0.3), seed=None)
    *before, last = generation.messages
    messages = (*before, Message(last.role, f"{last.content}\n{wrong}")) if wrong else generation.messages
    return generation._replace(sampling=varied, messages=messages)


def _faults(error: ValidationError) -> list[str]:
    """Where and how the contract was broken, without the text itself."""
    return [f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in error.errors(include_input=False)][:5]
