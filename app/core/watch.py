"""Tells the record of the current request what becomes of a generation; tells nobody outside of a request."""

import uuid
from collections.abc import Mapping
from typing import Protocol

from app.core.generation import FinishReason, Generation, Usage
from app.errors import ServiceError
from app.telemetry.record import RequestRecord, current


class Ended(Protocol):
    """A generation as far as it got."""

    @property
    def first_text(self) -> float: ...  # noqa: D102

    @property
    def finish(self) -> FinishReason: ...  # noqa: D102

    @property
    def usage(self) -> Usage: ...  # noqa: D102

    @property
    def failure(self) -> ServiceError | None:
        """How it broke, if it did."""
        ...


class Watch:
    """One generation.

    Attributes:
        name: Its id at the engine: 32 hex digits, so that none is the beginning of another.
    """

    __slots__ = ("_one", "_record", "name")

    def __init__(self, generation: Generation, *, streamed: bool, record: RequestRecord | None = None) -> None:
        """``record``: None: that of the current context."""
        self._record = record or current()
        self._one = None if self._record is None else self._record.begin(generation, streamed=streamed)
        self.name = uuid.uuid4().hex if self._one is None else self._one.id

    def headers(self, usual: Mapping[str, str]) -> Mapping[str, str]:
        """What the engine is to hear, ``usual`` included."""
        return usual if self._record is None or self._one is None else self._record.headers(self._one, usual)

    def forget(self) -> None:
        """Keep no longer what was asked in words; decision records, which tell it by its digest, are of tasks only."""
        if self._one is not None:
            self._one.request = self._one.request._replace(messages=())

    def end(self, tokens: Ended | None) -> None:
        """It is over; None if the engine never began to answer."""
        record, one = self._record, self._one
        if record is None or one is None:
            return
        if tokens is None:
            one.error = "refused"
        else:
            usage = tokens.usage
            one.first_text, one.finish = tokens.first_text, tokens.finish
            one.prompt_tokens, one.completion_tokens = usage.prompt_tokens, usage.completion_tokens
            one.cached_tokens = usage.cached_tokens
            if tokens.finish == "unknown":
                one.error = "left" if tokens.failure is None else type(tokens.failure).__name__
        record.end(one)
