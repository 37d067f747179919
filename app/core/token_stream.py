"""One generation as it arrives: the engine's events -> text.

Nearly all events of a stream differ in nothing but a few characters of text. They are recognized by one regular
expression, and their text stays the JSON literal that the engine wrote: a chat passes it on as it is. Whatever looks
different is parsed.
"""

import asyncio
import math
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, cast

from pydantic_core import from_json, to_json

from app.core.engine_errors import broken_exchange, refused
from app.core.generation import FinishReason, Usage
from app.core.http_pool import Response
from app.core.retry import served_in_spite_of
from app.core.sse_reader import SseReader
from app.core.thinking import ThoughtFilter
from app.core.transport_errors import TransportError
from app.engines.profiles import EngineProfile
from app.errors import EngineFailure, ServiceError

_FINISH: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "abort": "abort"}
LITERAL = rb'("[^"\\\x00-\x1f]*(?:\\["\\/bfnrt][^"\\\x00-\x1f]*)*")'
"""A JSON string, in a group, without escapes of four hex digits: half a surrogate pair must not be passed on."""

_TEXT = (
    rb'\{"id":"\w*","object":"chat\.completion\.chunk","created":\d+,"model":"[^"\\]*","choices":\[\{"index":0,'
    rb'"delta":\{(?:"reasoning_content":null,)?"content":' + LITERAL + rb'\},"logprobs":null,"finish_reason":null,'
    rb'"matched_stop":null\}\]\}'
)
_TEXT_ONLY = re.compile(_TEXT).fullmatch
_EVENT = re.compile(rb"data: %b\n\n" % _TEXT)
_ONE_EVENT = _EVENT.fullmatch  # what nearly every read brings
_BETWEEN_EVENTS = _EVENT.split  # texts, and what is around them
_DONE = b"[DONE]"


class TokenStream:
    """The text of one generation; the other attributes hold once it has ended.

    Attributes:
        finish: Why the engine stopped.
        usage: Tokens spent.
        alternatives: For each token the likeliest ones and their log-probabilities; empty if the engine tells none.
        cut: Whether it was broken off for its silence (see ``watch``).
        first_text: When the first text came, on the monotonic clock; 0 while none has.
    """

    __slots__ = (
        "_asked_at",
        "_broken",
        "_ended",
        "_failure",
        "_filter",
        "_profile",
        "_reader",
        "_reasoning",
        "_response",
        "_silence",
        "_stall",
        "_waiting",
        "alternatives",
        "cut",
        "finish",
        "first_text",
        "usage",
    )

    def __init__(self, response: Response, profile: EngineProfile) -> None:
        self._response = response
        self._profile = profile
        self._filter = ThoughtFilter()
        self._reasoning: list[str] = []
        self._reader = SseReader()
        self._waiting: Sequence[bytes] = ()  # events that have come and were not read
        self._asked_at = math.inf
        self._stall = math.inf
        self._silence: asyncio.TimerHandle | None = None
        self.cut = False
        self._ended = False
        self._failure: ServiceError | None = None
        self._broken: ServiceError | None = None  # found while nobody waited
        self.finish: FinishReason = "unknown"
        self.usage = Usage()
        self.first_text = 0.0
        self.alternatives: list[Mapping[str, float]] = []

    @property
    def failure(self) -> ServiceError | None:
        """How the engine broke it off, or that it has been silent for so long that it was left."""
        if self.finish == "unknown" and time.monotonic() - self._asked_at > self._stall * 0.9:
            return silence()
        return self._failure

    @property
    def reasoning(self) -> str:
        """What came in ``reasoning_content``: thinking, or, by a known fault of engines, the answer itself."""
        return "".join(self._reasoning)

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
            EngineFailure: the engine reported an error, sent nonsense, or broke off. ``[DONE]`` alone proves nothing:
                engines send it after an error too, so a legal finish reason is required.
        """
        try:
            while not self._ended:
                events = self._waiting or await self._more()
                self._waiting = ()
                if events is None:
                    return self._end()
                if texts := self._texts(events):
                    self.first_text = self.first_text or time.monotonic()
                    return texts
        except ServiceError as error:
            self._failure = error
            raise
        return None

    async def pump(self, tell: Callable[[list[bytes]], bool], every: float = 0.0) -> None:
        """Hand out texts, as ``literals`` has them, the moment they come, as long as ``tell`` returns True.

        It returns as soon as something else than plain text has come, or nothing more comes: ``literals`` goes on.

        Args:
            tell: Is handed the texts.
            every: Seconds between two looks where a text may come that much late (see ``Connection.pump``).
        """
        if self._waiting or self._ended or not self._filter.through:
            return

        texts_of = _several_texts if every else _one_text

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
        texts = [_text_only(event) for event in events]
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

    def _end(self) -> list[bytes] | None:
        self._ended = True
        if self.finish == "unknown":
            raise EngineFailure("The engine ended its answer without saying why. Repeat the call.")
        rest = self._filter.close()
        return [to_json(rest)] if rest else None

    def _texts(self, events: Sequence[bytes]) -> list[bytes]:
        """The texts of ``events``; those before an event that is an error are told before it is raised."""
        texts: list[bytes] = []
        for number, event in enumerate(events):
            try:
                text = self._literal(event)
            except ServiceError:
                if not texts:
                    raise
                self._waiting = events[number:]
                break
            if text:
                texts.append(text)
        return texts

    def _literal(self, event: bytes) -> bytes | None:
        """Read one event; its text as a JSON string, if it has any."""
        if self._filter.through and (literal := _text_only(event)) is not None:
            return literal
        if event == _DONE:
            return None
        text = self._parsed(event)
        return to_json(text) if text else None

    def _parsed(self, data: bytes) -> str | None:
        try:
            event: Any = from_json(data, cache_strings="keys")
            if "error" in event:
                raise refused(event["error"], self._profile)
            if usage := event.get("usage"):
                self.usage = Usage.told(usage)
            if not event.get("choices"):
                return None
            choice = event["choices"][0]
            if reason := choice.get("finish_reason"):
                self.finish = finish_of(reason)
            if logprobs := choice.get("logprobs"):
                self.alternatives.extend(likeliest(token) for token in logprobs["content"] or ())
            delta = choice["delta"]
            if thought := delta.get("reasoning_content"):
                self._reasoning.append(thought)
            text = delta.get("content")
            return self._filter.feed(text) if text else None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise nonsense() from error


def _one_text(data: bytes) -> list[bytes] | None:
    """The text of one whole event that is nothing but text; None if ``data`` is anything else."""
    literal = _text_of(_ONE_EVENT(data))
    return None if literal is None else [literal]


def _several_texts(data: bytes) -> list[bytes] | None:
    """The same of any number of events."""
    parts = _BETWEEN_EVENTS(data)
    literals = parts[1::2]
    plain = literals and not any(parts[::2]) and b'""' not in literals
    return literals if plain and (data.isascii() or is_utf8(data)) else None


def _text_only(event: bytes) -> bytes | None:
    """The text of an event that is nothing but text, as a JSON string; None if it is anything else."""
    return _text_of(_TEXT_ONLY(event))


def _text_of(found: re.Match[bytes] | None) -> bytes | None:
    if found is None:
        return None
    literal = found[1]
    return literal if literal != b'""' and (literal.isascii() or is_utf8(literal)) else None


def decoded(literal: bytes) -> str:
    """The text of a JSON string."""
    return from_json(literal, cache_strings="keys") if b"\\" in literal else literal[1:-1].decode()


def finish_of(reason: str) -> FinishReason:
    """What an engine says about why it stopped."""
    return _FINISH.get(reason, "abort")


def silence() -> EngineFailure:
    """What an engine that says nothing any more is to those who wait for it."""
    return EngineFailure("The model's server fell silent. Repeat the call.")


def nonsense() -> EngineFailure:
    """What an engine is that does not keep to its protocol."""
    return EngineFailure("The engine sent an event that makes no sense. Repeat the call.")


def likeliest(token: Any) -> Mapping[str, float]:
    """The tokens that an engine held likeliest in one place, and their log-probabilities.

    Raises:
        LookupError, TypeError, ValueError: it is something else.
    """
    return {str(other["token"]): float(other["logprob"]) for other in token["top_logprobs"]}


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
