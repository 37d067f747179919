"""Plain chat: the caller's messages, free text back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.core.deadline import Deadline
from app.core.generation import Generation, Message, Priority, Sampling
from app.core.llm_engine import LLMEngine, Slot
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
            messages=tuple(Message(m.role, m.content) for m in request.messages),
            max_tokens=request.max_tokens or self.max_tokens,
            sampling=Sampling(temperature=temperature),
            priority=Priority.CHAT,
        )


async def complete(engine: LLMEngine, generation: Generation, deadline: Deadline) -> ChatResponse:
    """The whole answer at once.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    async with engine.admit(generation.priority, deadline) as slot:
        *_, last = [event async for event in stream(slot, generation)]
    if not isinstance(last, ChatResponse):
        raise TypeError("a chat stream ends with its whole answer")
    return last


async def stream(slot: Slot, generation: Generation) -> AsyncIterator[str | ChatResponse]:
    """Pieces of text as they arrive, and at the end the whole answer.

    Raises:
        ServiceError: see ``Slot.stream``.
    """
    pieces: list[str] = []
    async with slot.stream(generation) as tokens:
        async for piece in tokens:
            pieces.append(piece)
            yield piece
        yield ChatResponse(content="".join(pieces), usage=token_usage(tokens.usage))
