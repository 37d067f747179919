"""Observer: what becomes of a request's record when it begins and when it ends."""

import asyncio
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.telemetry.access import AccessLog
from app.telemetry.audit import AuditLog
from app.telemetry.metrics import Metrics
from app.telemetry.record import UNKNOWN_ROUTE, RequestRecord
from app.telemetry.traces import Traces

_ASKING: Mapping[str, str] = {
    "/api/chat/completions": "chat",
    "/v1/chat/completions": "chat",
    "/api/feedback": "feedback",
    "/api/interview/step": "interview_step",
    "/api/report": "report",
}
_KNOWN = frozenset({"/health", "/health/live", "/health/ready", "/metrics", "/v1/models", "/docs", "/openapi.json"})
REQUEST_ID = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_DRAWN = 32  # bytes: as many random ones cost what eight do
_LOOK = 0.5  # seconds between two looks at the event loop's clock


@dataclass(slots=True)
class Observer:
    """Begins and ends the records of all requests. Watches nothing until it is told where to.

    Attributes:
        metrics: Where they are counted; None: nowhere.
        access: Where their lines go; None: nowhere.
        traces: Where their spans go; None: nowhere.
        audit: Where decisions are recorded; None: nowhere.
    """

    metrics: Metrics | None = None
    access: AccessLog | None = None
    traces: Traces | None = None
    audit: AuditLog | None = None

    def begin(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> RequestRecord:
        """A record for a request that has arrived; it is the current one of this context.

        The caller's ``X-Request-Id`` names it if it has 1 to 64 letters, digits or ``. _ : -``; otherwise we do.
        """
        record = self.record(path, next((value for name, value in headers if name == REQUEST_ID), None))
        if self.traces is not None and record.task:
            record.spans = self.traces.begin(record, headers)
        record.enter()
        return record

    def record(self, path: str, given: bytes | None) -> RequestRecord:
        """The same without spans, and nobody's current one; ``given``: the caller's ``X-Request-Id``."""
        task = _ASKING.get(path, "")
        route = path if task or path in _KNOWN else UNKNOWN_ROUTE
        drawn = os.urandom(_DRAWN).hex()  # once: for its own name, if the caller gave none, and two generations'
        usable = given is not None and _REQUEST_ID.fullmatch(given)
        record = RequestRecord(usable.group().decode() if usable else drawn[32:], path, route, task, self.metrics)
        record.suffix = drawn[:32]
        if not usable:
            record.prefix = drawn[32:48]
        return record

    def end(self, record: RequestRecord, key_name: str) -> None:
        """The request is over; ``key_name``: of its caller's key."""
        now = time.monotonic()
        if self.metrics is not None:
            self.metrics.ended(record, now)
        if self.access is not None:
            self.access.ended(record, key_name, now)
        if record.spans is not None:
            record.spans.close(record, now)

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, and let nothing wait to be counted for long, until cancelled."""
        metrics = self.metrics
        while metrics is not None:
            due = time.monotonic() + _LOOK
            await asyncio.sleep(_LOOK)
            metrics.loop_late(time.monotonic() - due)
            metrics.count()

    async def close(self) -> None:
        """Write and send what is left, for seconds at most."""
        if self.access is not None:
            self.access.stop()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self.access is not None:
            self.access.join()
        if self.traces is not None:
            self.traces.close()
        if self.audit is not None:
            self.audit.close()
