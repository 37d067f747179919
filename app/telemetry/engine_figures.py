"""What /metrics tells of the engine: read when it is asked for, never counted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.telemetry.families import gauge


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What is known of the engine at this moment.

    Attributes:
        name: Its kind.
        model: The model's name.
        up: Whether it can answer.
        running: Requests that hold a place.
        queued: Requests that wait for one.
        limit: Places there are.
        repeats: Calls that were made once more.
        breaker: 0 closed, 1 open.
        trips: How often the breaker opened.
        load: Its own figures by name: ``running``, ``waiting``, ``kv_usage``; empty if it tells none.
        load_age: Seconds since it told them.
    """

    name: str
    model: str
    up: bool
    running: int
    queued: int
    limit: int
    repeats: int
    breaker: int
    trips: int
    load: Mapping[str, float]
    load_age: float


def of_engine(figures: EngineFigures) -> Iterator[Metric]:
    """They as metrics."""
    info = GaugeMetricFamily("llm_service_engine_info", "Which engine and model.", labels=("engine", "model"))
    info.add_metric((figures.name, figures.model), 1)
    yield info
    yield gauge("llm_service_engine_up", "1 while the engine can answer.", figures.up)
    yield gauge("llm_service_running", "Requests that hold a place at the engine.", figures.running)
    yield gauge("llm_service_queued", "Requests that wait for a place.", figures.queued)
    yield gauge("llm_service_places", "Places there are now; fewer while the engine is short of room.", figures.limit)
    yield gauge("llm_service_breaker_open", "1 while a failing engine is left alone.", figures.breaker)
    for name, meaning, value in (
        ("llm_service_breaker_trips", "Times the breaker opened.", figures.trips),
        ("llm_service_retries", "Calls to the engine that were made once more.", figures.repeats),
    ):
        counter = CounterMetricFamily(name, meaning)
        counter.add_metric((), value)
        yield counter
    if not figures.load:
        return
    for name, meaning in (
        ("running", "Requests the engine says it works on."),
        ("waiting", "Requests the engine says it has in its own queue."),
        ("kv_usage", "Part of the engine's KV cache that is taken, 0 to 1."),
    ):
        yield gauge(f"llm_service_engine_{name}", meaning, figures.load[name])
    yield gauge("llm_service_engine_age_seconds", "How old the engine's own figures are.", figures.load_age)
