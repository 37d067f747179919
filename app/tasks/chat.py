"""Plain chat: the caller's messages, free text back."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from app.core.completion import Completion
from app.core.deadline import Deadline
from app.core.defuse import defuse
from app.core.generation import FinishReason, Generation, Message, Priority, Sampling, Usage
from app.core.llm_engine import LLMEngine, Slot
from app.core.retry import lost, refusal
from app.core.token_stream import TokenStream
from app.errors import EngineFailure, ServiceError
from app.schemas.chat import ChatRequest


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


async def complete(
    engine: LLMEngine, generation: Generation, deadline: Deadline, earlier: Exception | None = None
) -> Completion:
    """The whole answer at once.

    Args:
        engine: Where it is asked for.
        generation: What is asked.
        deadline: Of the request.
        earlier: What went wrong with a first try for this request, if there was one (see ``PlainAnswers``).

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    failed = _repeatable(earlier)
    async with engine.admit(generation.priority, deadline, failed) as slot:
        try:
            return _unaborted(await slot.complete(generation, again=failed is not None))
        except EngineFailure:
            if failed is not None and not _unheard(failed):
                raise  # twice is enough
            # Nobody has heard of it yet. Whether the engine may be asked again is known where calls to it are begun.
            return _unaborted(await slot.complete(generation, again=True))


def _repeatable(earlier: Exception | None) -> ServiceError | None:
    """``earlier``, if a request whose first try ended like this may be tried again; else it is raised."""
    if earlier is None or (
        isinstance(earlier, ServiceError) and (isinstance(earlier, EngineFailure) or _unheard(earlier))
    ):
        return earlier
    raise earlier


def _unheard(error: ServiceError) -> bool:
    """Whether the engine has not said anything yet, so that the retries of calls are in charge."""
    return refusal(error) or lost(error)


def _unaborted(said: Completion) -> Completion:
    refuse_aborted(said.finish)
    return said


def refuse_aborted(finish: FinishReason) -> None:
    """Take no answer that was stopped before its end.

    Raises:
        EngineFailure: ``finish`` says that it was.
    """
    if finish == "abort":
        raise EngineFailure("The model's server stopped the answer before its end. Repeat the call.")


class ChatStream:
    """An answer as it arrives."""

    def __init__(self, tokens: TokenStream, first: list[bytes] | None) -> None:
        self._tokens = tokens
        self._first = first

    async def more(self) -> list[bytes] | None:
        """The next pieces of text, at least one, each a JSON string in UTF-8; None at the end.

        Raises:
            ServiceError: see ``TokenStream.literals`` and ``Slot.stream``.
        """
        first, self._first = self._first, None
        pieces = first or await self._tokens.literals()
        if pieces is None:
            refuse_aborted(self._tokens.finish)
        return pieces

    async def pump(self, tell: Callable[[list[bytes]], bool]) -> None:
        """Tell pieces the moment they come, while nothing else does and ``tell`` returns True; go on with ``more``."""
        if self._first is None:
            await self._tokens.pump(tell)

    @property
    def finish(self) -> FinishReason:
        """Why the engine stopped; only when there is no more."""
        return self._tokens.finish

    @property
    def usage(self) -> Usage:
        """Tokens spent; only when there is no more."""
        return self._tokens.usage


@asynccontextmanager
async def stream(
    engine: LLMEngine, generation: Generation, deadline: Deadline, earlier: Exception | None = None
) -> AsyncGenerator[ChatStream, None]:
    """The answer as it arrives. Leaving the block before its end cancels it in the engine.

    Entering waits for the first text: whatever fails before it (a full queue, a prompt that is too long, an engine
    that is gone) can still be asked for once more, or answered with a clean refusal.

    Args:
        engine: Where it is asked for.
        generation: What is asked.
        deadline: Of the request.
        earlier: See ``complete``; nobody has heard anything of that try.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``; also from ``ChatStream.more``.
    """
    failed = _repeatable(earlier)
    async with engine.admit(generation.priority, deadline, failed) as slot, AsyncExitStack() as opened:
        try:
            answer = await opened.enter_async_context(_begun(slot, generation, again=failed is not None))
        except EngineFailure:
            if failed is not None and not _unheard(failed):
                raise  # twice is enough
            answer = await opened.enter_async_context(_begun(slot, generation, again=True))
        del generation  # see LLMEngine.open
        yield answer


@asynccontextmanager
async def _begun(slot: Slot, generation: Generation, *, again: bool) -> AsyncGenerator[ChatStream, None]:
    async with slot.stream(generation, again=again) as tokens:
        del generation
        tokens.watch()
        first = await tokens.literals()
        if first is None:
            refuse_aborted(tokens.finish)
        yield ChatStream(tokens, first)
