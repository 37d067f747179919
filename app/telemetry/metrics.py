"""The metrics of the service: name, labels, buckets and meaning of each. Served at ``/metrics``.

Counting happens on the event loop, in plain numbers: no lock, 0.1 microseconds each, where a child of
prometheus-client's own histogram costs 0.7; and many requests in a row, because between the other work of a request the
same lines take longer (the processor's caches hold something else). What the service knows anyway
(places, breaker, engine: ``engine_figures``) is not counted at all but read when Prometheus asks. Names of the
OpenTelemetry conventions for generative AI and HTTP are used where they exist, in Prometheus's spelling. Labels take
few and fixed values: routes, tasks, statuses, reasons; never a key, an id or a text.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from app.telemetry.engine_figures import EngineFigures, of_engine
from app.telemetry.families import counter, gauge, histogram
from app.telemetry.record import Generated, RequestRecord
from app.telemetry.tally import Tally

# Seconds. A digit takes 50 ms, a chat seconds, a report up to two minutes; time-outs are at 55, 300 and 3600.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 55.0, 120.0, 300.0)
# Seconds for one token after the first: 2 ms on a GPU with nothing else to do, 1 s on a busy CPU.
TOKEN_SECONDS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5)
# Tokens, as the OpenTelemetry conventions say, up to the longest context.
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)

_REPAIRS = (  # words of meta.repaired -> kind
    ("cut short", "cut"),
    ("not given", "filled"),
    ("repeated items", "repeated_items"),
    ("to rest on", "ungrounded"),
    ("contradict", "contradiction"),
    ("may not fit", "contradiction"),
    ("asked before", "repeated_question"),
    ("asked nothing", "no_question"),
    ("only repeats", "echo"),
    ("not allowed", "step_not_allowed"),
    ("not judged", "not_judged"),
)
_RUNAWAYS = frozenset({"whitespace", "repetition", "overlong"})
_SERVER_ERROR = 500
_SLOW_LOOP = 0.25
_BATCH = 64  # ends that are counted in a row


class _OfTask:
    """The histograms of one task."""

    __slots__ = ("cached", "first", "input", "operation", "output", "per_token", "queue", "sentence", "ttft")

    def __init__(self) -> None:
        self.queue = Tally(SECONDS)
        self.ttft = Tally(SECONDS)
        self.sentence = Tally(SECONDS)
        self.operation = Tally(SECONDS)
        self.first = Tally(SECONDS)
        self.per_token = Tally(TOKEN_SECONDS)
        self.input = Tally(TOKENS)
        self.output = Tally(TOKENS)
        self.cached = 0


@dataclass(slots=True, eq=False)
class Metrics(Collector):
    """The figures of one process.

    Attributes:
        version: Of the service.
        engine: Gives the engine's figures when asked; set once there is an engine.
        shared: Gives how many requests got an answer that was made for another one.
        dropped: Gives how many lines of the log were lost.
    """

    version: str
    engine: Callable[[], EngineFigures] | None = None
    shared: Callable[[], int] = int
    dropped: Callable[[], int] = int
    loop_lag: float = 0.0
    slow_loops: int = 0
    _requests: Counter[tuple[str, str, int]] = field(default_factory=Counter[tuple[str, str, int]])
    _durations: dict[str, Tally] = field(default_factory=dict[str, Tally])
    _tasks: dict[str, _OfTask] = field(default_factory=dict[str, _OfTask])
    _refused: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _attempts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _repairs: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _flags: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _wrong_language: Counter[str] = field(default_factory=Counter[str])
    _decisions: Counter[str] = field(default_factory=Counter[str])
    _started: float = field(default_factory=time.time)
    _ended: list[tuple[RequestRecord, float]] = field(default_factory=list[tuple[RequestRecord, float]])
    _generated: list[tuple[str, Generated]] = field(default_factory=list[tuple[str, Generated]])

    # --- told on the way ---

    def ended(self, record: RequestRecord, now: float) -> None:
        """A request is over."""
        self._ended.append((record, now))
        if len(self._ended) >= _BATCH:
            self.count()

    def generated(self, task: str, one: Generated) -> None:
        """A generation is over."""
        self._generated.append((task, one))
        if len(self._generated) >= _BATCH:
            self.count()

    def count(self) -> None:
        """Count what has ended; the records of it, which hold callers' words, are let go."""
        ended, self._ended = self._ended, []
        for record, now in ended:
            self._count_request(record, now)
        generated, self._generated = self._generated, []
        for task, one in generated:
            self._count_generation(task, one)

    def _count_request(self, record: RequestRecord, now: float) -> None:
        key = (record.route, record.task, record.status)
        self._requests[key] += 1
        tally = self._durations.get(record.route)
        if tally is None:
            tally = self._durations[record.route] = Tally(SECONDS)
        tally.add(now - record.arrived)
        if not record.task:
            return
        of = self._of(record.task)
        if record.admitted_at:
            of.queue.add(record.admitted_at - record.asked_at)
            if record.first_text:
                of.ttft.add(record.first_text - record.arrived)
                if record.first_sentence:
                    of.sentence.add(record.first_sentence - record.arrived)
        elif record.error and record.status >= _SERVER_ERROR:
            self._refused[record.task, record.error] += 1

    def _count_generation(self, task: str, one: Generated) -> None:
        of = self._of(task)
        of.operation.add(one.ended - one.started)
        if one.error:
            self._failures[task, one.error] += 1
        if one.first_text:
            of.first.add(one.first_text - one.started)
            if one.completion_tokens > 1:
                of.per_token.add((one.ended - one.first_text) / (one.completion_tokens - 1))
        if one.prompt_tokens:
            of.input.add(one.prompt_tokens)
            of.output.add(one.completion_tokens)
            of.cached += one.cached_tokens

    def attempt(self, task: str, ending: str) -> None:
        """An attempt at an answer ended, for the reason ``ending``."""
        self._attempts[task, ending] += 1

    def repaired(self, task: str, done: str) -> None:
        """An answer was changed to fit its contract; ``done`` as in ``meta.repaired``."""
        kind = next((kind for words, kind in _REPAIRS if words in done), "other")
        self._repairs[task, kind] += 1

    def flagged(self, task: str, kind: str) -> None:
        """A text looked like an attempt to steer the judge; kinds come from a fixed list."""
        self._flags[task, kind] += 1

    def wrong_language(self, task: str) -> None:
        """An answer is not in the language that was asked for."""
        self._wrong_language[task] += 1

    def decision(self, outcome: str) -> None:
        """A decision record was ``written``, ``lost`` or is ``late``."""
        self._decisions[outcome] += 1

    def loop_late(self, seconds: float) -> None:
        """The event loop ran something ``seconds`` after it was due."""
        self.loop_lag = max(self.loop_lag, seconds)
        self.slow_loops += seconds > _SLOW_LOOP

    def _of(self, task: str) -> _OfTask:
        of = self._tasks.get(task)
        if of is None:
            of = self._tasks[task] = _OfTask()
        return of

    # --- told to Prometheus ---

    def registry(self) -> CollectorRegistry:
        """These figures and those of the process."""
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        return registry

    def describe(self) -> list[Metric]:
        """Nothing: figures are not asked for when they are registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures as they are now."""
        self.count()
        yield from self._of_requests()
        yield from self._of_generations()
        yield from self._of_answers()
        yield from self._of_process()
        if self.engine is not None:
            yield from of_engine(self.engine())

    def _of_requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "llm_service_requests",
            "Requests by route, task and status; 499 is a client that left before it was answered.",
            labels=("route", "task", "status"),
        )
        for (route, task, status), count in self._requests.items():
            requests.add_metric((route, task, str(status)), count)
        yield requests
        yield histogram(
            "http_server_request_duration_seconds",
            "From the first byte of a request to the last byte of its answer.",
            "http_route",
            self._durations,
        )
        for name, meaning, tallies in (
            ("queue", "In the queue for a place at the engine.", {t: o.queue for t, o in self._tasks.items()}),
            ("time_to_first_token", "Arrival to the answer's first text.", {t: o.ttft for t, o in self._tasks.items()}),
            (
                "time_to_first_sentence",
                "Arrival to the end of the first sentence, with which text-to-speech can begin; of JSON, to all of it.",
                {t: o.sentence for t, o in self._tasks.items()},
            ),
        ):
            yield histogram(f"llm_service_{name}_seconds", meaning, "task", tallies)
        yield counter(
            "llm_service_refused",
            "Requests that got no place at the engine, by reason.",
            ("task", "reason"),
            self._refused,
        )
        shared = CounterMetricFamily(
            "llm_service_coalesced", "Requests that got the answer of an identical one instead of a generation."
        )
        shared.add_metric((), self.shared())
        yield shared

    def _of_generations(self) -> Iterator[Metric]:
        tasks = self._tasks
        yield histogram(
            "gen_ai_client_operation_duration_seconds",
            "One generation at the engine, from asking to its end.",
            "task",
            {task: of.operation for task, of in tasks.items()},
        )
        yield histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Asking the engine to its first text.",
            "task",
            {task: of.first for task, of in tasks.items()},
        )
        yield histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Between two tokens of an answer, on average; its inverse is the speed in tokens per second.",
            "task",
            {task: of.per_token for task, of in tasks.items()},
        )
        usage = HistogramMetricFamily(
            "gen_ai_client_token_usage",
            "Tokens of one generation, as the engine counted them.",
            labels=("task", "gen_ai_token_type"),
        )
        cached = CounterMetricFamily(
            "llm_service_cached_tokens", "Input tokens that came from the engine's prefix cache.", labels=("task",)
        )
        for task, of in tasks.items():
            usage.add_metric((task, "input"), *of.input.buckets())
            usage.add_metric((task, "output"), *of.output.buckets())
            cached.add_metric((task,), of.cached)
        yield usage
        yield cached
        yield counter(
            "llm_service_generation_failures",
            "Generations that the engine refused or broke off, or that were left, by kind.",
            ("task", "error_type"),
            self._failures,
        )

    def _of_answers(self) -> Iterator[Metric]:
        yield counter(
            "llm_service_attempts",
            "Attempts at a task's answer, by how they ended; all but `stop` are tried again or repaired.",
            ("task", "ending"),
            self._attempts,
        )
        runaways = Counter[tuple[str]]()
        for (task, ending), count in self._attempts.items():
            runaways[(task,)] += count if ending in _RUNAWAYS else 0
        yield counter("llm_service_runaways", "Attempts that went in circles or past bounds.", ("task",), runaways)
        yield counter(
            "llm_service_repairs", "Changes that made an answer fit its contract.", ("task", "kind"), self._repairs
        )
        yield counter(
            "llm_service_integrity_flags",
            "Passages that look like attempts to steer the judge.",
            ("task", "kind"),
            self._flags,
        )
        wrong = Counter({(task,): count for task, count in self._wrong_language.items()})
        yield counter(
            "llm_service_language_violations", "Answers in another language than asked for.", ("task",), wrong
        )
        decisions = CounterMetricFamily(
            "llm_service_decision_records", "Decision records (AUDIT_LOG) by outcome.", labels=("outcome",)
        )
        for outcome in ("written", "lost", "late"):
            decisions.add_metric((outcome,), self._decisions[outcome])
        yield decisions

    def _of_process(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("llm_service_info", "Which version this is.", labels=("version",))
        info.add_metric((self.version,), 1)
        yield info
        yield gauge("llm_service_start_time_seconds", "When the service started, Unix time.", self._started)
        lag, self.loop_lag = self.loop_lag, 0.0
        yield gauge(
            "llm_service_event_loop_lag_seconds",
            "The longest that the event loop was late since the last scrape: the service's own part of latencies.",
            lag,
        )
        slow = CounterMetricFamily("llm_service_event_loop_slow", "Times the event loop was late by 0.25 s or more.")
        slow.add_metric((), self.slow_loops)
        yield slow
        dropped = CounterMetricFamily("llm_service_log_lines_dropped", "Lines lost because nobody read the log.")
        dropped.add_metric((), self.dropped())
        yield dropped


def exposition(registry: CollectorRegistry) -> bytes:
    """The figures as Prometheus reads them."""
    return generate_latest(registry)
