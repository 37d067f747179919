"""One generation of a task, read while it is written and cut as soon as it cannot end well.

An engine may ignore a grammar, loop, stop in the middle or fall silent. What was said until then is kept, so that it
can be told early and closed later.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from app.core.deadline import Deadline
from app.core.engine_events import decoded
from app.core.generation import Generation, Usage
from app.core.llm_engine import Slot
from app.core.partial_json import PartialEvent, PartialJson
from app.core.runaway import RunawayWatch
from app.core.token_stream import TokenStream
from app.errors import EngineFailure
from app.tasks.shape import Shape

Ending = Literal[
    "stop", "length", "abort", "whitespace", "repetition", "overlong", "not_json", "stall", "deadline", "broken"
]
"""Why an attempt ended: the engine's own three reasons, then ours for cutting it."""

_RESERVE = 0.5  # seconds kept for closing, settling and sending an answer that the deadline cuts short
_TOGETHER = 16  # tokens that are taken in at once where nobody hears them: a runaway is cut that much later
_LOOKS = 0.1  # seconds between two looks at tokens that nobody hears: by half of it the answer is late
_EARLY_LOOKS = 0.2  # the same as long as the answer cannot soon be over (``Shape.tail``)
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
        ending: Why it ended.
        usage: Tokens spent.
    """

    def __init__(self, shape: Shape[Any], patience: Patience) -> None:
        self.ending: Ending = "broken"
        self.usage = Usage()
        self._shape = shape
        self._patience = patience
        self._live = True
        self._begun = ""
        self._json = PartialJson()
        self._unread: list[str] = []  # said, but not read as JSON yet
        self._tail_begun = False  # whether it may soon be over
        self._unbroken = 0  # characters since the last quotation mark: no open field is longer
        self._watch = RunawayWatch()
        self._pieces: list[str] = []
        self._events: list[PartialEvent] = []  # not handed out yet
        self._collected: list[bytes] = []  # not taken in yet

    @property
    def text(self) -> str:
        """Everything it said."""
        return "".join(self._pieces)

    @property
    def json(self) -> PartialJson:
        """The answer so far, as far as it is JSON."""
        with suppress(ValueError):
            self._read()
        return self._json

    @property
    def silent(self) -> bool:
        """Whether the engine gave up, or was given up on, before it said anything."""
        return not self._pieces and self.ending in _BEGUN

    async def events(
        self, slot: Slot, generation: Generation, *, again: bool, live: bool
    ) -> AsyncGenerator[PartialEvent, None]:
        """Run the generation; leaving early cancels it in the engine.

        Args:
            slot: The place at the engine.
            generation: What is asked.
            again: Whether the last generation in this slot failed to answer the same.
            live: Whether each event is wanted when it happens; else none is told, which costs less.

        Raises:
            ServiceError: the engine refused the generation (see ``Slot.stream``). Failures after that only end it.
        """
        self._live = live
        self._begun = generation.begun
        begun = min(self._patience.first(), self._patience.left())
        try:
            async with asyncio.timeout(begun) as limit, slot.stream(generation, again=again) as tokens:
                limit.reschedule(None)  # each wait has its own from here on
                if not live:
                    tokens.watch(self._patience.stall)
                wait = self._patience.first()
                while await self._listen(tokens, wait):
                    for event in self._fresh():
                        yield event
                    wait = self._patience.stall
        except TimeoutError:
            self._give_up()
            return
        except EngineFailure:
            return
        for event in self._fresh():
            yield event

    async def _listen(self, tokens: TokenStream, wait: float) -> bool:
        """Take in what comes next, and if nobody hears it live all that follows; whether there may be more.

        Args:
            tokens: What the engine says.
            wait: Seconds of patience.
        """
        try:
            async with asyncio.timeout(min(wait, self._patience.left())) as limit:
                self._take_in(await tokens.literals(), tokens)
                if self.ending == "broken" and not self._live:
                    limit.reschedule(asyncio.get_running_loop().time() + self._patience.left())
                    await self._hear_out(tokens)
        except TimeoutError:
            self._hear_collected()
            self._give_up()
        except EngineFailure:
            self._hear_collected()
            self.ending = "stall" if tokens.cut else "broken"
            return False
        return self.ending == "broken"

    async def _hear_out(self, tokens: TokenStream) -> None:
        """Take in the rest, from the first text on; ``tokens`` looks out for silence."""
        while self.ending == "broken":
            await tokens.pump(self._collect, self._until_next_look)
            if self._hear_collected():
                self._take_in(await tokens.literals(), tokens)

    def _until_next_look(self) -> float:
        """Seconds. No answer is over before its tail has begun, and hardly one within the look that finds it."""
        if not self._tail_begun:
            self._tail_begun = f'"{self._shape.tail}"' in self.text
        return _LOOKS if self._tail_begun else _EARLY_LOOKS

    def _take_in(self, texts: Sequence[bytes] | None, tokens: TokenStream) -> None:
        if texts is None:
            self._said_all(tokens)
        else:
            self._hear(texts)

    def _said_all(self, tokens: TokenStream) -> None:
        """Known faults of engines: they put the answer where thinking belongs, or stop before its end."""
        self.usage = tokens.usage
        if not self._pieces and tokens.reasoning:
            self._take(tokens.reasoning)
        if self.ending == "broken":
            self.ending = "stop" if tokens.finish == "stop" else "length" if tokens.finish == "length" else "abort"

    def _fresh(self) -> Sequence[PartialEvent]:
        events, self._events = self._events, []
        return events

    def _give_up(self) -> None:
        self.ending = "deadline" if self._patience.left() < _TICK else "stall"

    def _collect(self, texts: Sequence[bytes]) -> bool:
        """The same as ``_hear``, but that some are taken in together: to look at each token costs four times more."""
        self._collected += texts
        return len(self._collected) < _TOGETHER or self._hear_collected()

    def _hear_collected(self) -> bool:
        texts, self._collected = self._collected, []
        return not texts or self._hear([b'"%b"' % b"".join([text[1:-1] for text in texts])])

    def _hear(self, texts: Sequence[bytes]) -> bool:
        """Take in JSON strings; whether more is wanted. The event loop itself calls it: it does not raise."""
        for text in texts:
            self._take(decoded(text))
            if self.ending != "broken":
                return False
        return True

    def _take(self, piece: str) -> None:
        """Keep ``piece``, and see whether it can still end well.

        As JSON it is read at once only if somebody hears it, if it begins the answer, or if a text could be too long:
        to read an answer at its end, whole, takes a tenth of the time.
        """
        if self._begun and (text := piece.lstrip()):
            if not text.startswith("{"):  # engines repeat what they were given, or do not
                piece = self._begun + piece
            self._begun = ""
        self._pieces.append(piece)
        self._unread.append(piece)
        quote = -1 if "\\" in piece else piece.rfind('"')  # one after a backslash ends nothing
        self._unbroken = len(piece) - quote - 1 if quote >= 0 else self._unbroken + len(piece)
        read = self._live or len(self._pieces) == 1 or self._unbroken > self._shape.shortest
        try:
            events = self._read() if read else ()
        except ValueError:
            self.ending = "not_json"
            return
        if self._live:
            self._events += events
        if runaway := self._watch.feed(piece):
            self.ending = runaway
        elif read and self._overlong():
            self.ending = "overlong"

    def _read(self) -> Sequence[PartialEvent]:
        unread, self._unread = "".join(self._unread), []
        return self._json.feed(unread)

    def _overlong(self) -> bool:
        path = self._json.open_path
        if path is None:
            return False
        bound = self._shape.bounds.get(tuple(key for key in path if isinstance(key, str)))
        return bound is not None and self._json.open_length > bound
