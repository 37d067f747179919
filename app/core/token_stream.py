"""One generation as it arrives, for a task that waits for it (see ``TokenReader``)."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import cast

from app.core.engine_errors import broken_exchange
from app.core.engine_events import TokenReader, decoded, one_text, several_texts, silence, text_only
from app.core.http_pool import Response
from app.core.retry import served_in_spite_of
from app.core.transport_errors import TransportError
from app.engines.profiles import EngineProfile
from app.errors import ServiceError


class TokenStream(TokenReader):
    """The text of one generation; the other attributes hold once it has ended.

    Attributes:
        cut: Whether it was broken off for its silence (see ``watch``).
    """

    __slots__ = ("_asked_at", "_broken", "_ended", "_response", "_silence", "_stall", "cut")

    def __init__(self, response: Response, profile: EngineProfile) -> None:
        super().__init__(profile)
        self._response = response
        self._asked_at = math.inf
        self._stall = math.inf
        self._silence: asyncio.TimerHandle | None = None
        self.cut = False
        self._ended = False
        self._broken: ServiceError | None = None  # found while nobody waited

    @property
    def failure(self) -> ServiceError | None:
        """How the engine broke it off, or that it has been silent for so long that it was left."""
        if self.finish == "unknown" and time.monotonic() - self._asked_at > self._stall * 0.9:
            return silence()
        return self._failure

    @property
    def served(self) -> bool | None:
        """Whether the engine did its part; None if that cannot be said.

        Who leaves a stream that flows has seen an engine at work.
        """
        if self.finish != "unknown" or self.failure is None:
            return True
        return served_in_spite_of(self.failure)

    async def begin(self, stall: float) -> None:
        """Wait for the first event: an engine that refuses in a stream does it there, and may be asked again.

        Args:
            stall: Seconds of silence that count as a failure (see ``watch``).

        Raises:
            TransportError: the connection broke before it.
            ServiceError: the first event is an error.
        """
        self._stall = stall
        while not self._waiting and (chunk := await self._response.chunk()) is not None:
            self._waiting = self._reader.feed(chunk)
        if self._waiting and b'"error"' in self._waiting[0][:32]:
            self._parsed(self._waiting[0])

    def watch(self, stall: float | None = None) -> None:
        """From the first text on, let ``literals`` and iteration fail if the engine is silent for too long.

        Before it the engine has all the time of the request: prefill may take long.

        Args:
            stall: Seconds, if others than ``begin`` was given.
        """
        if stall is not None:
            self._stall = stall
        self._silence = asyncio.get_running_loop().call_later(self._stall, self._look)

    def close(self) -> None:
        """Nobody reads any more."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    async def literals(self) -> list[bytes] | None:
        """The texts that came since the last call, at least one, each a JSON string in UTF-8; None at the end.

        Raises:
            EngineFailure: see ``TokenReader``, or the connection broke.
        """
        try:
            while not self._ended:
                events = self._waiting or await self._more()
                self._waiting = ()
                if events is None:
                    self._ended = True
                    return self.end() or None
                if texts := self._texts(events):
                    self.first_text = self.first_text or time.monotonic()
                    return texts
        except ServiceError as error:
            self._failure = error
            raise
        return None

    async def pump(self, tell: Callable[[list[bytes]], bool], every: Callable[[], float] | None = None) -> None:
        """Hand out texts, as ``literals`` has them, the moment they come, as long as ``tell`` returns True.

        It returns as soon as something else than plain text has come, or nothing more comes: ``literals`` goes on.

        Args:
            tell: Is handed the texts.
            every: Tells the seconds until the next look, where a text may come that much late (see
                ``Connection.pump``).
        """
        if self._waiting or self._ended or not self._filter.through:
            return

        texts_of = one_text if every is None else several_texts

        def take(data: bytes) -> bool:
            self._asked_at = time.monotonic()
            literals = texts_of(data) if self._reader.between else None
            if literals is None:
                return self._taken(data, tell)
            if tell(literals):
                return True
            self._waiting = self._reader.feed(data)
            return False

        self._asked_at = time.monotonic()
        await self._response.pump(take, every)
        self._asked_at = math.inf

    def _taken(self, data: bytes, tell: Callable[[list[bytes]], bool]) -> bool:
        try:
            events = self._reader.feed(data)
        except ServiceError as error:
            self._broken = error
            return False
        texts = [text_only(event) for event in events]
        if None not in texts and (not texts or tell(cast("list[bytes]", texts))):
            return True
        self._waiting = events
        return False

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        """Pieces of text, whole characters each.

        Raises:
            EngineFailure: see ``literals``.
        """
        while (texts := await self.literals()) is not None:
            for text in texts:
                yield decoded(text)

    async def _more(self) -> Sequence[bytes] | None:
        if self._broken is not None:
            raise self._broken
        self._asked_at = time.monotonic()
        try:
            chunk = await self._response.chunk()
        except TransportError as error:
            if self.cut:
                raise silence() from None
            raise broken_exchange(error) from error
        self._asked_at = math.inf  # time that passes from here on is the reader's
        return None if chunk is None else self._reader.feed(chunk)

    def _look(self) -> None:
        """Cut an engine that has been silent for too long; look again when that could be."""
        silent = time.monotonic() - self._asked_at
        if silent >= self._stall and self._filter.through:
            self.cut = True
            self._response.cut()
            return
        wait = self._stall - silent if 0 <= silent < self._stall else self._stall
        self._silence = asyncio.get_running_loop().call_later(wait, self._look)
