"""Task[A, R]: the caller's prompt plus an output contract -> one validated answer, told while it is written.

What can be known before the model speaks is decided first (``Ruling``): the score is measured, the steps that are
allowed follow from rules. The model then says the rest under a grammar that leaves it no other choice
(``app.tasks.asking``).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

import structlog
from pydantic import BaseModel

from app.core.deadline import Deadline
from app.core.engine_events import decoded
from app.core.generation import Generation, Message, Priority, Sampling, Usage
from app.core.llm_engine import LLMEngine, Slot
from app.core.prompt_builder import LANGUAGES, Contract, Language, build_messages, language_of
from app.core.tokens import estimate_tokens
from app.errors import ServiceError
from app.schemas.common import Meta, TokenUsage
from app.schemas.task import TaskRequest
from app.tasks.asking import Asking, Question
from app.tasks.attempt import Patience
from app.tasks.events import Progress, Started
from app.tasks.judging.remembered import Memory
from app.tasks.shape import Shape
from app.telemetry.record import current

A = TypeVar("A", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)
R_co = TypeVar("R_co", bound=BaseModel, covariant=True)

_LEAST_TOKENS = 256

log = structlog.get_logger("task")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides for all tasks.

    Attributes:
        language: Of the answers; ``auto`` follows the prompt.
        stall: Seconds of silence in the middle of an answer after which the model is asked anew.
        pass_score: Score (0-10) from which an answer passes.
        memory: What is known of answers that were measured before; None: each is measured anew. The caller's, not the
            operator's: every request has its own.
    """

    language: Literal["ko", "en", "auto"]
    stall: float
    pass_score: int = 6
    memory: Memory | None = None

    def answer_language(self, prompt: Language) -> Language:
        """The language in which a prompt in ``prompt`` is answered."""
        return prompt if self.language == "auto" else self.language

    @property
    def languages(self) -> Sequence[Language]:
        """Every language in which answers may be asked for."""
        return LANGUAGES if self.language == "auto" else (self.language,)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a task.

    Attributes:
        request: What the caller sent.
        spoken: The language of its prompt.
        language: The language of the answer.
        patience: How long it may take.
        policy: What the operator decided.
        live: Whether somebody hears the answer while it is written.
    """

    request: TaskRequest
    spoken: Language
    language: Language
    patience: Patience
    policy: Policy
    live: bool

    @classmethod
    def of(cls, request: TaskRequest, deadline: Deadline, policy: Policy, *, live: bool = True) -> "Call":
        """The call of ``request``."""
        spoken = language_of(request.system_prompt + request.user_prompt)
        patience = Patience(deadline, policy.stall)
        return cls(request, spoken, policy.answer_language(spoken), patience, policy, live)


def _nothing_against(_: Any) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Ruling(Generic[A]):
    """What is settled before the model speaks, and what it is asked for then.

    Attributes:
        shape: What it may say.
        words: The last words of the prompt, in its language: what was settled.
        close: See ``Question``.
        marks: For ``meta``.
        usage: Tokens spent on it.
        openings: What goes on behind the beginning of a shape, by that beginning: the first words of the text that it
            opens. The engine is given them with it.
        narrow: The first token behind what the shape has begun with -> the shape of what that leaves to be said, or
            None if it leaves several. Itself None if there is nothing to narrow.
        object: See ``Question``.
        mend, finish: See ``Question``.
    """

    shape: Shape[A]
    words: str
    close: Callable[[Mapping[str, Any], str | None], tuple[A, list[str]]]
    marks: Mapping[str, Any] = field(default_factory=dict[str, Any])
    usage: Usage = field(default_factory=Usage)
    openings: Mapping[str, str] = field(default_factory=dict[str, str])
    narrow: Callable[[str], Shape[A] | None] | None = None
    object: Callable[[A], str | None] = _nothing_against
    mend: Callable[[A], tuple[A, list[str]]] | None = None
    finish: Callable[[A], tuple[A, list[str]]] | None = None

    def begun(self, shape: Shape[A]) -> str:
        """What the engine is given as the beginning of an answer in ``shape``."""
        return shape.begun + self.openings.get(shape.begun, "")


@dataclass(frozen=True, slots=True)
class Result(Generic[R]):
    """The settled answer: exactly what the endpoint returns."""

    body: R


TaskEvent: TypeAlias = Progress | Result[R]


class Answering(Protocol[R_co]):
    """What a route needs of a task: its answer as it is written.

    Attributes:
        name: For logs, metrics and settings.
        priority: Its place when requests wait.
        version: Of its output contract; another one as soon as a word of it changes.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def priority(self) -> Priority: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    def stream(
        self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy, *, live: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """``Started``, progress, one ``Result``; entering waits for the place at the engine.

        Progress that nobody hears ``live`` is not told.
        """
        ...


async def answer(task: Answering[R], engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy) -> R:
    """The settled answer of ``task``.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
        EngineFailure: the model said nothing twice.
    """
    async with task.stream(engine, request, deadline, policy, live=False) as events:
        async for event in events:
            if isinstance(event, Result):
                return cast("Result[R]", event).body
    raise TypeError("a task ends with its result")


@dataclass(frozen=True)
class Task(Generic[A, R]):
    """One thing the service asks of the model.

    Attributes:
        name: For logs and metrics.
        shapes: Everything it may be asked to say: few and fixed, so that engines compile each grammar once.
        contract: The output contract in words.
        priority: Its place when requests wait.
        max_tokens: Enough for the longest answer the grammar allows at about one token a character of Korean
            (measured on Qwen's vocabulary: 0.7 for prose).
        sampling: How tokens are drawn.
        decide: What is settled before the model speaks.
        settle: Pure: what the model said -> what the endpoint returns.
    """

    name: str
    shapes: Sequence[Shape[A]]
    contract: Contract
    priority: Priority
    max_tokens: int
    sampling: Sampling
    decide: Callable[[Slot, Call], Awaitable[Ruling[A]]]
    settle: Callable[[A, Meta, Policy], R]

    @property
    def version(self) -> str:
        """Of its output contract."""
        return version_of(self.name, self.contract)

    def grammars(self, language: Language) -> list[str]:
        """Every grammar it may ask for."""
        return [shape.grammars[language] for shape in self.shapes]

    async def run(self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy) -> R:
        """Ask the model and return a settled answer; see ``answer``."""
        return await answer(self, engine, request, deadline, policy)

    @asynccontextmanager
    async def stream(
        self, engine: LLMEngine, request: TaskRequest, deadline: Deadline, policy: Policy, *, live: bool = True
    ) -> AsyncGenerator[AsyncIterator["TaskEvent[R]"], None]:
        """The answer as it is written: ``Started``, progress, one ``Result``. Leaving the block early cancels it.

        Entering waits for the place at the engine, so that a refusal can still be a clean status.

        Raises:
            ServiceError: see ``run``; also from the iterator.
        """
        call = Call.of(request, deadline, policy, live=live)
        async with (
            engine.admit(self.priority, deadline) as slot,
            aclosing(self._events(engine, slot, call)) as events,
        ):
            yield events

    async def _events(self, engine: LLMEngine, slot: Slot, call: Call) -> AsyncGenerator["TaskEvent[R]", None]:
        ruling = await self.decide(slot, call)
        yield Started(self.name, ruling.shape.fields)
        question = self._question(ruling, call, engine)
        if ruling.narrow is not None:
            shape, spent = await _narrowed(slot, question, ruling.narrow, call.patience)
            ruling = replace(ruling, usage=ruling.usage.and_of(spent))
            if shape is not None:
                shape = shape.on(engine)
                grammar = shape.grammars[call.language]
                rest = question.generation._replace(grammar=grammar, begun=ruling.begun(shape))
                question = replace(question, shape=shape, generation=rest)
        asking = Asking(question, call.patience)
        async with aclosing(asking.events(slot, live=call.live)) as events:
            async for progress in events:
                yield progress
        body = self.settle(asking.answer, meta_of(engine, asking, ruling), call.policy)
        watch_language(body, call.language)
        for progress in asking.teller.correct(asking.told, body) if call.live else ():
            yield progress
        yield Result(body)

    def _question(self, ruling: Ruling[A], call: Call, engine: LLMEngine) -> Question[A]:
        request, shape = call.request, ruling.shape.on(engine)
        contract = self.contract.text(call.spoken, call.language)
        messages = build_messages(request.system_prompt, request.user_prompt, contract, ruling.words)
        generation = Generation(
            messages=messages,
            max_tokens=room(messages, self.max_tokens, engine.context),
            sampling=self.sampling,
            grammar=shape.grammars[call.language],
            priority=self.priority,
            common=True,  # a phase of an interview has one system prompt, and so have its interviews
            begun=ruling.begun(shape),
        )
        return Question(self.name, shape, generation, ruling.close, ruling.object, ruling.mend, ruling.finish)


async def _narrowed(
    slot: Slot, question: Question[A], narrow: Callable[[str], Shape[A] | None], patience: Patience
) -> tuple[Shape[A] | None, Usage]:
    """What the first token of an answer leaves to be said, if it tells, and the tokens spent on it.

    The words behind an action are keys and quotation marks, seven tokens that leave the model no choice before the
    first word that a candidate hears. With the action known they are given to the engine to read, which takes one.
    """
    first = question.generation._replace(max_tokens=1)
    until = Deadline.after(min(patience.first(), patience.left()))
    try:
        said = await slot.complete(first, until=until)
    except ServiceError as error:
        log.warning("the first token did not come by itself", task=question.name, reason=type(error).__name__)
        return None, Usage()
    return narrow(decoded(said.literal).strip().removeprefix(first.begun)), said.usage  # engines repeat it, or do not


@lru_cache
def version_of(name: str, *contracts: Contract) -> str:
    """A name that changes with every word of the contracts."""
    words = "\x1e".join(text for contract in contracts for text in (contract.ko, contract.en))
    return f"{name}-{sha256(words.encode()).hexdigest()[:12]}"


def room(messages: Sequence[Message], wanted: int, context: int) -> int:
    """The token budget of an answer to ``messages``.

    SGLang refuses a prompt whose answer might not fit, so a long prompt gets a smaller budget; if it is not even worth
    trying, the engine says so by its own count.
    """
    left = context - estimate_tokens(*(message.content for message in messages))
    return min(wanted, max(left, _LEAST_TOKENS))


_PROSE = 20  # letters of a text whose language can be told


def watch_language(body: BaseModel, language: Language) -> None:
    """Count an answer whose longest text is in another language than it should be."""
    record = current()
    if record is None or record.metrics is None:
        return
    longest = max((value for value in dict(body).values() if isinstance(value, str)), key=len, default="")
    if len(longest) >= _PROSE and language_of(longest) != language:
        record.metrics.wrong_language(record.task)


def meta_of(engine: LLMEngine, asking: Asking[Any], ruling: Ruling[Any]) -> Meta:
    """How an answer came about."""
    return Meta(
        engine=engine.name,
        model=engine.model,
        finish=asking.ending,
        attempts=asking.attempts,
        repaired=asking.repaired,
        usage=token_usage(asking.usage.and_of(ruling.usage)),
        **ruling.marks,
    )


def token_usage(usage: Usage) -> TokenUsage:
    """The wire form of ``usage``."""
    return TokenUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )
