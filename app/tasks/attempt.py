"""One generation of a task, read while it is written and cut as soon as it cannot end well.

An engine may ignore a grammar, loop, stop in the middle or fall silent. What was said until then is kept, so that it
can be told early and closed later.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Literal

from app.core.deadline import Deadline
from app.core.generation import Generation, Usage
from app.core.llm_engine import Slot
from app.core.partial_json import PartialEvent, PartialJson
from app.core.runaway import RunawayWatch
from app.core.token_stream import TokenStream
from app.errors import EngineFailure

Ending = Literal[
    "stop", "length", "abort", "whitespace", "repetition", "overlong", "not_json", "stall", "deadline", "broken"
]
"""Why an attempt ended: the engine's own three reasons, then ours for cutting it."""

_RESERVE = 0.5  # seconds kept for closing, settling and sending an answer that the deadline cuts short
_TICK = 0.01  # seconds; event loops round their timers, and some end early
_BEGUN: frozenset[Ending] = frozenset({"broken", "stall", "deadline"})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an engine that says nothing.

    Attributes:
        deadline: When the whole request must be answered.
        stall: Seconds between two pieces after which a generation counts as stalled.
    """

    deadline: Deadline
    stall: float

    def left(self) -> float:
        """Seconds in which the model may still speak."""
        return max(0.0, self.deadline.remaining() - _RESERVE)

    def first(self) -> float:
        """Seconds to wait for the first piece: two thirds of what is left, so that a second attempt has a chance.

        It covers the engine's own queue and the prefill of a long prompt, so it cannot be a short constant.
        """
        return max(self.stall, self.left() * 2 / 3)


class Attempt:
    """What one generation said.

    Attributes:
        json: The answer so far.
        ending: Why it ended.
        usage: Tokens spent.
    """

    def __init__(self, bounds: Mapping[tuple[str, ...], int], patience: Patience) -> None:
        self.json = PartialJson()
        self.ending: Ending = "broken"
        self.usage = Usage()
        self._bounds = bounds
        self._patience = patience
        self._watch = RunawayWatch()
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """Everything it said."""
        return "".join(self._pieces)

    @property
    def silent(self) -> bool:
        """Whether the engine gave up, or was given up on, before it said anything."""
        return not self._pieces and self.ending in _BEGUN

    async def events(self, slot: Slot, generation: Generation, *, again: bool) -> AsyncGenerator[PartialEvent, None]:
        """Run the generation; leaving early cancels it in the engine.

        Args:
            slot: The place at the engine.
            generation: What is asked.
            again: Whether the last generation in this slot failed to answer the same.

        Raises:
            ServiceError: the engine refused the generation (see ``Slot.stream``). Failures after that only end it.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(min(self._patience.first(), self._patience.left())):
                    tokens = await stack.enter_async_context(slot.stream(generation, again=again))
            except TimeoutError:
                self._give_up()
                return
            except EngineFailure:
                return
            pieces = await stack.enter_async_context(aclosing(self._listen(tokens)))
            async for piece in pieces:
                for event in self._take(piece):
                    yield event
                if self.ending != "broken":
                    return

    async def _listen(self, tokens: TokenStream) -> AsyncGenerator[str, None]:
        """The pieces of text, each waited for with patience; sets ``ending`` unless the body does."""
        wait = self._patience.first()
        async with aclosing(aiter(tokens)) as pieces:
            while True:
                try:
                    async with asyncio.timeout(min(wait, self._patience.left())):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    self._give_up()
                    return
                except EngineFailure:
                    return
                if piece is None:
                    break
                yield piece
                wait = self._patience.stall
        self.usage = tokens.usage
        if not self._pieces and tokens.reasoning:
            yield tokens.reasoning
        if self.ending == "broken":
            self.ending = "stop" if tokens.finish == "stop" else "length" if tokens.finish == "length" else "abort"

    def _give_up(self) -> None:
        self.ending = "deadline" if self._patience.left() < _TICK else "stall"

    def _take(self, piece: str) -> list[PartialEvent]:
        self._pieces.append(piece)
        try:
            events = self.json.feed(piece)
        except ValueError:
            self.ending = "not_json"
            return []
        if runaway := self._watch.feed(piece):
            self.ending = runaway
        elif self._overlong():
            self.ending = "overlong"
        return events

    def _overlong(self) -> bool:
        path = self.json.open_path
        if path is None:
            return False
        bound = self._bounds.get(tuple(key for key in path if isinstance(key, str)))
        return bound is not None and self.json.open_length > bound
