"""``llm-service top``: /metrics of a running service, live in a terminal."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_TASKS = ("interview_step", "feedback", "chat", "report")
_STALE = 5.0  # seconds after which the engine's own figures say nothing about now
_LATE = 0.1
_OK = 200
_BAD_STATUS = "5"
_IN, _OUT = {"gen_ai_token_type": "input"}, {"gen_ai_token_type": "output"}


@dataclass(frozen=True, slots=True)
class Look:
    """The figures of one moment.

    Attributes:
        at: When, on the monotonic clock.
        samples: Values by name and labels.
    """

    at: float
    samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]] = field(
        default_factory=dict[str, Sequence[tuple[Mapping[str, str], float]]]
    )

    @classmethod
    def parsed(cls, text: str) -> "Look":
        """From Prometheus's text format."""
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return cls(time.monotonic(), samples)

    def sum(self, name: str, **labels: str) -> float:
        """All samples of ``name`` with ``labels``."""
        return sum(value for own, value in self.samples.get(name, ()) if labels.items() <= own.items())

    def buckets(self, name: str, task: str) -> Mapping[float, float]:
        """Cumulative counts by upper bound."""
        found = self.samples.get(f"{name}_bucket", ())
        return {float(own["le"]): value for own, value in found if own.get("task") == task}

    def label(self, name: str, label: str) -> str:
        """The label of an info metric."""
        return next((own[label] for own, _ in self.samples.get(name, ())), "?")


def quantile(before: Mapping[float, float], after: Mapping[float, float], part: float) -> float | None:
    """The value below which ``part`` of what was added lies; as Prometheus's histogram_quantile counts it."""
    added = [(bound, count - before.get(bound, 0.0)) for bound, count in sorted(after.items())]
    if not added or added[-1][1] <= 0:
        return None
    wanted, low, below = part * added[-1][1], 0.0, 0.0
    for bound, count in added:
        if count >= wanted:
            return low if bound == float("inf") else low + (bound - low) * (wanted - below) / max(count - below, 1e-9)
        low, below = bound, count
    return low


def run_top(url: str, interval: float, *, once: bool, key: str = "") -> int:
    """Show the figures until Ctrl-C; exit status 1 if there are none. ``key``: for a service that asks for one."""
    console = Console()
    headers = {"X-API-Key": key} if key else {}
    with httpx2.Client(base_url=url, timeout=5, headers=headers) as client:
        try:
            before = _look(client)
            if once:
                time.sleep(interval)
                console.print(view(before, _look(client), url))
                return 0
            with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
                while True:
                    time.sleep(interval)
                    after = _look(client)
                    live.update(view(before, after, url), refresh=True)
                    before = after
        except KeyboardInterrupt:
            return 0
        except httpx2.HTTPError as error:
            console.print(
                f"{url}/metrics: {error or type(error).__name__}. Is the service running, METRICS on, --key right?"
            )
            return 1


def _look(client: httpx2.Client) -> Look:
    return Look.parsed(client.get("/metrics").raise_for_status().text)


def view(before: Look, after: Look, url: str) -> Group:
    """What happened between two looks."""
    return Group(_verdict(before, after, url), _engine(after), _tasks(before, after))


def _verdict(before: Look, after: Look, url: str) -> Text:
    """One line: the engine, the load or the service itself?"""
    queued, running = after.sum("llm_service_queued"), after.sum("llm_service_running")
    places, lag = after.sum("llm_service_places"), after.sum("llm_service_event_loop_lag_seconds")
    refused = after.sum("llm_service_refused_total") - before.sum("llm_service_refused_total")
    lost = after.sum("llm_service_decision_records_total", outcome="lost") - before.sum(
        "llm_service_decision_records_total", outcome="lost"
    )
    if not after.sum("llm_service_engine_up"):
        told = ("ENGINE  it cannot answer", "bold red")
    elif after.sum("llm_service_breaker_open"):
        told = ("ENGINE  it keeps failing and is left alone", "bold red")
    elif lost:
        told = ("SERVICE  decision records are lost", "bold red")
    elif refused:
        told = (f"LOAD  {refused:.0f} requests were refused", "bold yellow")
    elif lag > _LATE:
        told = (f"SERVICE  the event loop was {lag:.2f} s late", "bold yellow")
    elif queued:
        told = (f"LOAD  {queued:.0f} requests wait for one of {places:.0f} places", "yellow")
    else:
        told = (f"ok  {running:.0f} of {places:.0f} places taken", "green")
    return Text.assemble((told[0], told[1]), f"   {url}   version {after.label('llm_service_info', 'version')}")


def _engine(after: Look) -> Text:
    name, model = (after.label("llm_service_engine_info", label) for label in ("engine", "model"))
    parts = [
        f"{name}  {model}",
        f"running {after.sum('llm_service_running'):.0f}",
        f"queued {after.sum('llm_service_queued'):.0f}",
        f"places {after.sum('llm_service_places'):.0f}",
        f"retries {after.sum('llm_service_retries_total'):.0f}",
        f"breaker {'open' if after.sum('llm_service_breaker_open') else 'closed'}",
    ]
    if "llm_service_engine_age_seconds" in after.samples:
        age = after.sum("llm_service_engine_age_seconds")
        parts.append(
            f"its own: running {after.sum('llm_service_engine_running'):.0f}, waiting "
            f"{after.sum('llm_service_engine_waiting'):.0f}, KV {after.sum('llm_service_engine_kv_usage'):.0%}"
            + (f" ({age:.0f} s old!)" if age > _STALE else "")
        )
    return Text("  |  ".join(parts))


def _tasks(before: Look, after: Look) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("task")
    for title in ("req/s", "5xx/s", "queue p95", "TTFT p50", "TTFT p95", "tokens/s in", "out", "cached", "repairs"):
        table.add_column(title, justify="right")
    seconds = max(after.at - before.at, 1e-6)
    for task in _TASKS:
        table.add_row(task, *_row(before, after, task, seconds))
    return table


def _row(before: Look, after: Look, task: str, seconds: float) -> list[str]:
    def rate(name: str, **labels: str) -> float:
        return (after.sum(name, task=task, **labels) - before.sum(name, task=task, **labels)) / seconds

    def late(name: str, part: float) -> str:
        found = quantile(before.buckets(name, task), after.buckets(name, task), part)
        return "-" if found is None else f"{found:.2f} s"

    statuses = {own["status"] for own, _ in after.samples.get("llm_service_requests_total", ())}
    failed = sum(rate("llm_service_requests_total", status=one) for one in statuses if one.startswith(_BAD_STATUS))
    taken = rate("gen_ai_client_token_usage_sum", **_IN)
    return [
        f"{rate('llm_service_requests_total'):.1f}",
        f"{failed:.1f}",
        late("llm_service_queue_seconds", 0.95),
        late("llm_service_time_to_first_token_seconds", 0.5),
        late("llm_service_time_to_first_token_seconds", 0.95),
        f"{taken:.0f}",
        f"{rate('gen_ai_client_token_usage_sum', **_OUT):.0f}",
        f"{rate('llm_service_cached_tokens_total') / taken:.0%}" if taken else "-",
        f"{after.sum('llm_service_repairs_total', task=task):.0f}",
    ]
