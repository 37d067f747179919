"""Plain chat: the caller's messages, free text back."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from app.core.deadline import Deadline
from app.core.defuse import defuse
from app.core.generation import FinishReason, Generation, Message, Priority, Sampling, Usage
from app.core.llm_engine import LLMEngine, Slot
from app.errors import EngineFailure
from app.schemas.chat import ChatRequest, ChatResponse
from app.tasks.structured import token_usage


@dataclass(frozen=True, slots=True)
class ChatDefaults:
    """What a request that does not say gets.

    Attributes:
        temperature: DEFAULT_TEMPERATURE.
        max_tokens: DEFAULT_MAX_TOKENS.
    """

    temperature: float
    max_tokens: int

    def generation(self, request: ChatRequest) -> Generation:
        """What is asked of the engine."""
        temperature = self.temperature if request.temperature is None else request.temperature
        return Generation(
            messages=tuple(Message(m.role, defuse(m.content)) for m in request.messages),
            max_tokens=request.max_tokens or self.max_tokens,
            sampling=Sampling(temperature=temperature),
            priority=Priority.CHAT,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        content: Its text.
        finish: Why the engine stopped: ``stop`` or ``length``.
        usage: Tokens spent.
    """

    content: str
    finish: FinishReason
    usage: Usage

    def response(self) -> ChatResponse:
        """What the chat endpoint returns."""
        return ChatResponse(content=self.content, usage=token_usage(self.usage))


Event: TypeAlias = str | Answer
"""A piece of text, or at the end the whole answer."""


async def complete(engine: LLMEngine, generation: Generation, deadline: Deadline) -> Answer:
    """The whole answer at once.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    async with engine.admit(generation.priority, deadline) as slot:
        try:
            return await _whole(slot, generation, engine.stall)
        except EngineFailure:
            # Nobody has heard of it yet. Whether the engine may be asked again is known where calls to it are begun.
            return await _whole(slot, generation, engine.stall, again=True)


async def _whole(slot: Slot, generation: Generation, stall: float, *, again: bool = False) -> Answer:
    async with aclosing(_events(slot, generation, stall, again=again)) as events:
        *_, last = [event async for event in events]
    if not isinstance(last, Answer):
        raise TypeError("a chat stream ends with its whole answer")
    return last


@asynccontextmanager
async def stream(
    engine: LLMEngine, generation: Generation, deadline: Deadline
) -> AsyncGenerator[AsyncIterator[Event], None]:
    """The answer as it arrives. Leaving the block before its end cancels it in the engine.

    Entering waits for the first event: whatever fails before it (a full queue, a prompt that is too long, an engine
    that is gone) can still be answered with a clean refusal.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``; also from the iterator.
    """
    async with (
        engine.admit(generation.priority, deadline) as slot,
        aclosing(_events(slot, generation, engine.stall)) as events,
    ):
        yield _joined(await anext(events), events)


async def _events(
    slot: Slot, generation: Generation, stall: float, *, again: bool = False
) -> AsyncGenerator[Event, None]:
    pieces: list[str] = []
    async with slot.stream(generation, again=again) as tokens:
        async for piece in tokens.within(stall):
            pieces.append(piece)
            yield piece
        if tokens.finish == "abort":
            raise EngineFailure("The model's server stopped the answer before its end. Repeat the call.")
        yield Answer("".join(pieces), tokens.finish, tokens.usage)


async def _joined(first: Event, rest: AsyncIterator[Event]) -> AsyncIterator[Event]:
    yield first
    async for event in rest:
        yield event
