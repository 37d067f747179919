"""What is known of one request while it is served: filled in on its way, told once at its end.

The record travels with the request's context, so that every place it passes can add to it: one attribute, no lock, no
formatting. Metrics, the access line, spans and decision records are all made from it.
"""

import os
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.telemetry.metrics import Metrics
    from app.telemetry.traces import RequestSpans

_CURRENT: ContextVar["RequestRecord | None"] = ContextVar("request record", default=None)
current = _CURRENT.get
"""The record of the request that is being served; None outside of one (warming up, evaluations)."""

_ID_HALF = 16  # hex digits: half of an engine id says whose generation it is, half makes it unique
CLIENT_CLOSED_REQUEST = 499
"""nginx's number for a client that left; logged, never sent."""


UNKNOWN_ROUTE = "other"
"""Stands for every path that is no route: callers must not make labels."""


class Generated:
    """One generation, as far as it got.

    Attributes:
        id: Its name at the engine (SGLang's ``rid``).
        request: What was asked; a ``core.generation.Generation``.
        streamed: Whether the engine was asked to answer while it writes.
        again: Whether an earlier one broke off.
        started: On the monotonic clock.
        first_text: The same, of the first text; 0 if there was none.
        ended: The same.
        finish: The engine's reason; ``unknown`` if it gave none.
        prompt_tokens: Tokens in.
        completion_tokens: Tokens out.
        cached_tokens: Of those in, the ones that came from the engine's cache.
        error: The kind of failure; empty if there was none.
    """

    __slots__ = (
        "cached_tokens",
        "completion_tokens",
        "ended",
        "error",
        "finish",
        "first_text",
        "id",
        "prompt_tokens",
        "request",
        "span",
        "started",
        "streamed",
    )

    def __init__(self, name: str, request: Any, *, streamed: bool) -> None:
        self.id = name
        self.request = request
        self.streamed = streamed
        self.started = time.monotonic()
        self.first_text = 0.0
        self.ended = 0.0
        self.finish = "unknown"
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cached_tokens = 0
        self.error = ""
        self.span: Any = None


class RequestRecord:
    """One request.

    Attributes:
        id: The request's id; ours or the caller's.
        arrived: On the monotonic clock, seconds; so are all times here, 0 for what has not happened.
        path: As asked for.
        route: The route it belongs to; ``other`` for paths that are none.
        task: What is asked of the model there; empty for routes that ask nothing.
        status: That was sent; 499 for a client that left before.
        error: The type of the error that was sent; empty if there was none.
        expires_at: When it must be answered.
        asked_at: When it asked for its first place at the engine.
        admitted_at: When it got it.
        first_text: When the first text of the answer came from the engine.
        first_sentence: When the first sentence of it was complete.
        settled_at: When the answer was ready.
        generations: What was asked of the engine.
        shared: Whether the answer was made for an identical request.
        metrics: Where to count; None if nobody counts.
        spans: The request's trace; None if nobody traces.
        suffix: 16 random hex digits each for the names of its next generations; empty: they are still to be drawn.
    """

    __slots__ = (
        "admitted_at",
        "arrived",
        "asked_at",
        "error",
        "expires_at",
        "first_sentence",
        "first_text",
        "generations",
        "id",
        "metrics",
        "path",
        "prefix",
        "route",
        "settled_at",
        "shared",
        "spans",
        "status",
        "suffix",
        "task",
    )

    def __init__(self, request_id: str, path: str, route: str, task: str, metrics: "Metrics | None" = None) -> None:
        self.id = request_id
        self.path = path
        self.route = route
        self.task = task
        self.metrics = metrics
        self.arrived = time.monotonic()
        self.status = CLIENT_CLOSED_REQUEST
        self.error = ""
        self.expires_at = 0.0
        self.asked_at = 0.0
        self.admitted_at = 0.0
        self.first_text = 0.0
        self.first_sentence = 0.0
        self.settled_at = 0.0
        self.generations: list[Generated] = []
        self.shared = False
        self.spans: RequestSpans | None = None
        self.prefix = ""
        self.suffix = ""

    def enter(self) -> None:
        """Make it the current one of this context."""
        _CURRENT.set(self)

    @property
    def engine_id(self) -> str:
        """16 hex digits with which the names of all its generations begin: what to look for in the engine's log."""
        if not self.prefix:
            own = len(self.id) == 2 * _ID_HALF and _HEX(self.id) is not None
            self.prefix = self.id[:_ID_HALF] if own else blake2b(self.id.encode(), digest_size=8).hexdigest()
        return self.prefix

    def begin(self, request: Any, *, streamed: bool) -> Generated:
        """A generation that begins now.

        Its name has 32 hex digits, always: SGLang matches ids by prefix when it aborts, so no name may be the beginning
        of another; and the same request may come twice at a time, so its own id alone would not do.
        """
        drawn = self.suffix or os.urandom(_ID_HALF // 2).hex()
        suffix, self.suffix = drawn[:_ID_HALF], drawn[_ID_HALF:]
        generated = Generated(self.engine_id + suffix, request, streamed=streamed)
        self.generations.append(generated)
        if self.spans is not None:
            self.spans.begin(self, generated)
        return generated

    def headers(self, generated: Generated, usual: Mapping[str, str]) -> Mapping[str, str]:
        """Headers for the engine: ``usual``, the request's id and, if it is traced, its ``traceparent``."""
        headers = {**usual, "x-request-id": self.id}
        if self.spans is not None:
            headers["traceparent"] = self.spans.traceparent(generated)
        return headers

    def end(self, generated: Generated) -> None:
        """A generation is over; whoever waits for the request may have left long ago."""
        generated.ended = time.monotonic()
        if generated.first_text and generated.request.max_tokens > 1:  # one token is a measurement, not an answer
            self.first_text = min(self.first_text or generated.first_text, generated.first_text)
        if self.metrics is not None:
            self.metrics.generated(self.task, generated)
        if self.spans is not None:
            self.spans.end(generated)

    def admitted(self, asked_at: float) -> None:
        """It has a place at the engine, for which it asked at ``asked_at``; a report may get more later."""
        if not self.admitted_at:
            self.asked_at = asked_at
            self.admitted_at = time.monotonic()

    def sentence(self) -> None:
        """A sentence of the answer is complete."""
        self.first_sentence = self.first_sentence or time.monotonic()

    def attempted(self, ending: str) -> None:
        """An attempt at the answer ended, for the reason ``ending``."""
        if self.metrics is not None:
            self.metrics.attempt(self.task, ending)

    @property
    def usage(self) -> tuple[int, int, int]:
        """Tokens in, out, and of those in the cached ones."""
        made = self.generations
        if len(made) == 1:
            return made[0].prompt_tokens, made[0].completion_tokens, made[0].cached_tokens
        return (
            sum(one.prompt_tokens for one in made),
            sum(one.completion_tokens for one in made),
            sum(one.cached_tokens for one in made),
        )


_HEX = re.compile(r"[0-9a-f]*").fullmatch
