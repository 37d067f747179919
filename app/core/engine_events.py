"""The engine's events -> text, one generation at a time; no waiting here, see ``TokenStream`` and ``FlowingAnswer``.

Nearly all events of a stream differ in nothing but a few characters of text. They are recognized by one regular
expression, and their text stays the JSON literal that the engine wrote: a chat passes it on as it is. Whatever looks
different is parsed.
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from app.core.engine_errors import refused
from app.core.generation import FinishReason, Usage
from app.core.sse_reader import SseReader
from app.core.thinking import ThoughtFilter
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


class TokenReader:
    """Reads one generation.

    Attributes:
        finish: Why the engine stopped.
        usage: Tokens spent.
        alternatives: For each token the likeliest ones and their log-probabilities; empty if the engine tells none.
        first_text: When the first text came, on the monotonic clock; 0 while none has.
    """

    __slots__ = (
        "_failure",
        "_filter",
        "_profile",
        "_reader",
        "_reasoning",
        "_waiting",
        "alternatives",
        "finish",
        "first_text",
        "usage",
    )

    def __init__(self, profile: EngineProfile) -> None:
        self._profile = profile
        self._filter = ThoughtFilter()
        self._reasoning: list[str] = []
        self._reader = SseReader()
        self._waiting: Sequence[bytes] = ()  # events that have come and were not read
        self._failure: ServiceError | None = None
        self.finish: FinishReason = "unknown"
        self.usage = Usage()
        self.first_text = 0.0
        self.alternatives: list[Mapping[str, float]] = []

    @property
    def failure(self) -> ServiceError | None:
        """How the engine broke it off."""
        return self._failure

    @property
    def reasoning(self) -> str:
        """What came in ``reasoning_content``: thinking, or, by a known fault of engines, the answer itself."""
        return "".join(self._reasoning)

    @property
    def unread(self) -> bool:
        """Whether ``read`` has something to say without being given more: what is wrong behind the last texts."""
        return bool(self._waiting)

    def read(self, data: bytes) -> list[bytes]:
        """The texts that ``data`` completes, each a JSON string in UTF-8; see ``unread``.

        Raises:
            EngineFailure: the engine reported an error, or sent nonsense.
        """
        if self._filter.through and self._reader.between and (plain := one_text(data)) is not None:
            return plain
        events, self._waiting = [*self._waiting, *self._reader.feed(data)], ()
        texts = self._texts(events)
        if texts:
            self.first_text = self.first_text or time.monotonic()
        return texts

    def fail(self, error: ServiceError) -> None:
        """It has been broken off."""
        self._failure = error

    def end(self) -> list[bytes]:
        """What was held back of the text, when nothing more comes.

        Raises:
            EngineFailure: the engine broke off. ``[DONE]`` alone proves nothing: engines send it after an error too, so
                a legal finish reason is required.
        """
        if self.finish == "unknown":
            raise EngineFailure("The engine ended its answer without saying why. Repeat the call.")
        rest = self._filter.close()
        return [to_json(rest)] if rest else []

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
        if self._filter.through and (literal := text_only(event)) is not None:
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


def one_text(data: bytes) -> list[bytes] | None:
    """The text of one whole event that is nothing but text; None if ``data`` is anything else."""
    literal = _text_of(_ONE_EVENT(data))
    return None if literal is None else [literal]


def several_texts(data: bytes) -> list[bytes] | None:
    """The same of any number of events."""
    parts = _BETWEEN_EVENTS(data)
    literals = parts[1::2]
    plain = literals and not any(parts[::2]) and b'""' not in literals
    return literals if plain and (data.isascii() or is_utf8(data)) else None


def text_only(event: bytes) -> bytes | None:
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
