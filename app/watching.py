"""Settings -> what watches the service, and what of its engine is shown; the other half of ``wiring``."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from app import __version__
from app.config import Settings
from app.core.coalescing import Coalescer
from app.core.llm_engine import LLMEngine
from app.telemetry.access import AccessLog, LineWriter
from app.telemetry.audit import AuditLog
from app.telemetry.engine_figures import EngineFigures
from app.telemetry.metrics import Metrics
from app.telemetry.observer import Observer
from app.telemetry.traces import Traces


@asynccontextmanager
async def watched(
    settings: Settings, observer: Observer, engine: LLMEngine, coalescer: Coalescer
) -> AsyncGenerator[CollectorRegistry | None, None]:
    """Let ``observer`` watch as ``settings`` say while the body runs; yields what /metrics shows.

    Raises:
        StartupError: AUDIT_LOG cannot be written.
    """
    if settings.log_level in {"DEBUG", "INFO"}:
        observer.access = AccessLog(LineWriter(sys.stderr), terminal=sys.stderr.isatty())
    if settings.otel_exporter_otlp_endpoint:
        observer.traces = Traces.sent_to(settings.otel_exporter_otlp_endpoint, engine.name, engine.model)
    metrics = observer.metrics = Metrics(__version__) if settings.metrics else None
    observer.audit = open_audit(settings, metrics)
    clock = asyncio.create_task(observer.watch_loop(), name="event loop clock")
    registry = _registry(metrics, observer, engine, coalescer) if metrics is not None else None
    try:
        yield registry
    finally:
        clock.cancel()
        await observer.close()


def open_audit(settings: Settings, metrics: Metrics | None = None) -> AuditLog | None:
    """The file of AUDIT_LOG, if it is set.

    Raises:
        StartupError: it cannot be written.
    """
    if not settings.audit_log:
        return None
    return AuditLog(
        Path(settings.audit_log),
        max_bytes=settings.audit_max_bytes,
        output=settings.audit_output,
        required=settings.audit_required,
        count=metrics.decision if metrics is not None else lambda _: None,
    )


def _registry(metrics: Metrics, observer: Observer, engine: LLMEngine, coalescer: Coalescer) -> CollectorRegistry:
    metrics.engine = lambda: _figures(engine)
    metrics.shared = lambda: coalescer.shared
    metrics.dropped = lambda: observer.access.dropped if observer.access is not None else 0
    return metrics.registry()


def _figures(engine: LLMEngine) -> EngineFigures:
    admission, breaker, seen = engine.admission, engine.retrier.breaker, engine.load
    load = seen.load
    return EngineFigures(
        name=engine.name,
        model=engine.model,
        up=engine.monitor.trouble is None,
        running=admission.running,
        queued=admission.queued,
        limit=admission.limit,
        repeats=engine.retrier.repeats,
        breaker=int(not breaker.closed),
        trips=breaker.trips,
        load={} if load is None else {"running": load.running, "waiting": load.waiting, "kv_usage": load.usage},
        load_age=time.monotonic() - seen.seen_at,
    )
