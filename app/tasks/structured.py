"""Task[A, R]: the caller's prompt plus an output contract -> one validated answer, told while it is written.

Decoding is constrained by the exact grammar of ``A``, so the JSON is right by construction. An engine can break that
all the same (a cut, a loop, a silence): then the model is asked once more inside the deadline, and if that fails too,
what it did say is closed to the shortest legal answer and marked in ``meta``.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from app.core.deadline import Deadline
from app.core.generation import Generation, Priority, Sampling, Usage
from app.core.grammar import grammar_for, text_bounds, word_fields
from app.core.llm_engine import LLMEngine, Slot
from app.core.prompt_builder import LANGUAGES, Contract, Language, build_messages, language_of
from app.core.tokens import estimate_tokens
from app.errors import EngineFailure, ServiceError
from app.schemas.common import Meta, TokenUsage
from app.schemas.task import TaskRequest
from app.tasks.attempt import Attempt, Patience
from app.tasks.events import Progress, Started, Teller

A = TypeVar("A", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

_ATTEMPTS = 2
_LEAST_TOKENS = 256
_LEAST_TIME = 1.0  # seconds in which a second attempt could still say something
_MERELY_LONG = {"string_too_long", "too_long"}

log = structlog.get_logger("task")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides for all tasks.

    Attributes:
        language: Of the answers; ``auto`` follows the prompt.
        stall: Seconds of silence in the middle of an answer after which the model is asked anew.
    """

    language: Literal["ko", "en", "auto"]
    stall: float

    def answer_language(self, prompt: Language) -> Language:
        """The language in which a prompt in ``prompt`` is answered."""
        return prompt if self.language == "auto" else self.language

    @property
    def languages(self) -> Sequence[Language]:
        """Every language in which answers may be asked for."""
        return LANGUAGES if self.language == "auto" else (self.language,)


@dataclass(frozen=True)
class Task(Generic[A, R]):
    """One thing the service asks of the model.

    Attributes:
        name: For logs and metrics.
        answer: What the model must say, keys in the order in which it says them.
        contract: The same in words.
        priority: Its place when requests wait.
        max_tokens: Enough for the longest answer the grammar allows at about one token a character of Korean
            (measured on Qwen's vocabulary: 0.7 for prose).
        sampling: How tokens are drawn.
        settle: Pure: what the model said -> what the endpoint returns.
        close: Pure: what was said of a broken answer, the top-level field in which it broke off and the language ->
            the shortest legal answer, and what was done to get it.
    """

    name: str
    answer: type[A]
    contract: Contract
    priority: Priority
    max_tokens: int
    sampling: Sampling
    settle: Callable[[A, Meta], R]
    close: Callable[[Mapping[str, Any], str | None, Language], tuple[A, list[str]]]

    @cached_property
    def grammars(self) -> Mapping[Language, str]:
        """The decoding grammar of ``answer`` by language: few and fixed texts, so that engines compile them once."""
        return {language: grammar_for(self.answer, language) for language in LANGUAGES}

    @cached_property
    def _bounds(self) -> Mapping[tuple[str, ...], int]:
        return text_bounds(self.answer)

    @cached_property
    def _words(self) -> frozenset[str]:
        return word_fields(self.answer)

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path[0] for path in self._bounds))

    def generation(self, request: TaskRequest, context: int, policy: Policy) -> Generation:
        """What is asked of an engine with room for ``context`` tokens."""
        spoken = language_of(request.system_prompt + request.user_prompt)
        language = policy.answer_language(spoken)
        contract = self.contract.text(spoken, language)
        messages = build_messages(request.system_prompt, request.user_prompt, contract)
        # SGLang refuses a prompt whose answer might not fit, so a long prompt gets a smaller budget; if it is not even
        # worth trying, the engine says so by its own count.
        room = context - estimate_tokens(*(message.content for message in messages))
        return Generation(
            messages=messages,
            max_tokens=min(self.max_tokens, max(room, _LEAST_TOKENS)),
            sampling=self.sampling,
            grammar=self.grammars[language],
            priority=self.priority,
        )

    async def run(self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy) -> R:
        """Ask the model and return a settled answer.

        Raises:
            ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
            EngineFailure: the model said nothing twice.
        """
        async with self.stream(engine, request, deadline, policy) as events:
            async for event in events:
                if isinstance(event, Result):
                    return event.body
        raise TypeError("a task ends with its result")

    @asynccontextmanager
    async def stream(
        self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy
    ) -> AsyncGenerator[AsyncIterator["TaskEvent[R]"], None]:
        """The answer as it is written: ``Started``, progress, one ``Result``. Leaving the block early cancels it.

        Entering waits for the place at the engine, so that a refusal can still be a clean status.

        Raises:
            ServiceError: see ``run``; also from the iterator.
        """
        asked = _Asked(self, engine, self.generation(request, engine.context, policy), deadline, policy)
        asked.language = policy.answer_language(language_of(request.system_prompt + request.user_prompt))
        async with engine.admit(self.priority, deadline) as slot, aclosing(asked.events(slot)) as events:
            yield events

    def read(self, attempt: Attempt, language: Language) -> tuple[A, list[str]] | None:
        """The answer of ``attempt`` if it is whole, and what had to be cut; None if it broke the contract.

        An answer that lacks only its last brackets, or only runs on after them, is whole.
        """
        try:
            return self.answer.model_validate_json(attempt.text), []
        except ValidationError as error:
            log.warning(
                "contract broken",
                task=self.name,
                ending=attempt.ending,
                length=len(attempt.text),
                faults=_faults(error),
            )
            merely_long = all(item["type"] in _MERELY_LONG for item in error.errors(include_input=False))
        answer, repaired = self.close(attempt.json.value, attempt.json.open_field, language)
        return (answer, repaired) if merely_long or not repaired else None

    def start(self) -> Started:
        """The first event of an answer."""
        return Started(self.name, self._fields)

    def teller(self) -> Teller:
        """A fresh teller of one answer."""
        return Teller(self._words)

    def attempt(self, patience: Patience) -> Attempt:
        """A fresh attempt at one answer."""
        return Attempt(self._bounds, patience)


@dataclass(frozen=True, slots=True)
class Result(Generic[R]):
    """The settled answer: exactly what the endpoint returns."""

    body: R


TaskEvent: TypeAlias = Progress | Result[R]


class _Asked(Generic[A, R]):
    """One request to a task, on its way to an answer."""

    language: Language = "ko"

    def __init__(
        self, task: Task[A, R], engine: LLMEngine, generation: Generation, deadline: Deadline, policy: Policy
    ) -> None:
        self._task = task
        self._engine = engine
        self._generation = generation
        self._patience = Patience(deadline, policy.stall)
        self._teller = task.teller()
        self._attempts: list[Attempt] = []

    async def events(self, slot: Slot) -> AsyncGenerator["TaskEvent[R]", None]:
        """Progress, then the result. Only the first attempt is told as it comes: callers cannot unhear it."""
        yield self._task.start()
        read: tuple[A, list[str]] | None = None
        while read is None and self._worth_asking():
            attempt = self._task.attempt(self._patience)
            first = not self._attempts
            self._attempts.append(attempt)
            try:
                async with aclosing(attempt.events(slot, self._generation)) as events:
                    async for event in events:
                        for progress in self._teller.tell(event) if first else ():
                            yield progress
            except ServiceError:
                if first:
                    raise
                break  # what the first attempt said is worth more than the refusal of the second
            read = self._task.read(attempt, self.language)
            self._generation = replace(self._generation, sampling=_varied(self._generation.sampling))
        for final in self._finish(read or self._closed()):
            yield final

    def _worth_asking(self) -> bool:
        if not self._attempts:
            return True
        return len(self._attempts) < _ATTEMPTS and self._patience.left() > _LEAST_TIME

    def _closed(self) -> tuple[A, list[str]]:
        """The fullest attempt, closed."""
        if all(attempt.silent for attempt in self._attempts):
            raise EngineFailure("The model's server did not answer. Repeat the call.")
        best = max(self._attempts, key=lambda attempt: len(attempt.json.value))
        return self._task.close(best.json.value, best.json.open_field, self.language)

    def _finish(self, read: tuple[A, list[str]]) -> Iterator["TaskEvent[R]"]:
        answer, repaired = read
        used = sum((attempt.usage for attempt in self._attempts), Usage())
        meta = Meta(
            engine=self._engine.name,
            model=self._engine.model,
            finish=self._attempts[-1].ending,
            attempts=len(self._attempts),
            repaired=repaired,
            usage=token_usage(used),
        )
        body = self._task.settle(answer, meta)
        yield from self._teller.correct(self._attempts[0].json.value, body)
        yield Result(body)


def _varied(sampling: Sampling) -> Sampling:
    """Other sampling for the second try: the same prompt at temperature 0 would fail the same way."""
    return replace(sampling, temperature=min(1.0, sampling.temperature + 0.3), seed=None)


def _faults(error: ValidationError) -> list[str]:
    """Where and how the contract was broken, without the text itself."""
    return [f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in error.errors(include_input=False)][:5]


def token_usage(usage: Usage) -> TokenUsage:
    """The wire form of ``usage``."""
    return TokenUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )
