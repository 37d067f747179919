"""Prometheus text under SGLang's names."""

from bisect import bisect_left
from collections import Counter, defaultdict

_SECONDS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0)
_GAPS = (
    0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8,
    1.0, 2.0, 4.0, 6.0, 8.0,
)  # fmt: skip
_WAITS = (0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0, 3000.0)

Labels = tuple[tuple[str, str], ...]


def labelled(name: str, labels: Labels, value: float) -> str:
    """One line of the exposition, labels in alphabetical order."""
    inside = ",".join(f'{key}="{_escape(text)}"' for key, text in sorted(labels))
    return f"sglang:{name}{{{inside}}} {float(value)}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class _Histogram:
    """Counts by upper bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def lines(self, name: str, labels: Labels) -> list[str]:
        out = [labelled(f"{name}_sum", labels, self._sum)]
        running = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            running += count
            out.append(labelled(f"{name}_bucket", (*labels, ("le", bound)), running))
        out.append(labelled(f"{name}_count", labels, running))
        return out


_HISTOGRAMS = {
    "time_to_first_token_seconds": ("Histogram of time to first token in seconds.", _SECONDS),
    "e2e_request_latency_seconds": ("Histogram of End-to-end request latency in seconds", _SECONDS),
    "inter_token_latency_seconds": ("Histogram of inter-token latency in seconds.", _GAPS),
    "queue_time_seconds": ("Histogram of queueing time in seconds.", _WAITS),
}
_SUMS = {
    "http_requests_total": "Total number of HTTP requests by endpoint and method",
    "http_responses_total": "Total number of HTTP responses by endpoint and status code",
    "prompt_tokens_total": "Number of prefill tokens processed.",
    "generation_tokens_total": "Number of generation tokens processed.",
    "num_requests_total": "Number of requests processed.",
    "cached_tokens_total": "Number of cached prompt tokens by source (device/host/storage).",
    "num_aborted_requests_total": "Number of requests aborted.",
    "http_requests_active": "Number of currently active HTTP requests",
    "num_so_requests_total": "Number of structured output requests processed.",
}
_GAUGES = {
    "max_total_num_tokens": "Maximum total number of tokens in the KV cache pool.",
    "context_len": "Maximum context length.",
    "num_running_reqs": "The number of running requests.",
    "num_queue_reqs": "The number of requests in the waiting queue.",
    "num_grammar_queue_reqs": "The number of requests in the grammar waiting queue.",
    "gen_throughput": "The generation throughput (token/s).",
    "cache_hit_rate": "The prefix cache hit rate.",
    "token_usage": "The token usage.",
    "num_used_tokens": "The number of used tokens.",
    "kv_available_tokens": "Number of free token slots in the KV cache pool.",
    "kv_used_tokens": "Number of actively used token slots in the KV cache pool.",
    "utilization": "The utilization.",
    "num_retracted_reqs": "The number of retracted requests.",
    "num_paused_reqs": "The number of paused requests by async weight sync.",
}


class Metrics:
    """All figures of one engine since it started."""

    def __init__(self, model_id: str) -> None:
        self._model: Labels = (("engine_type", "unified"), ("model_name", model_id), ("priority", ""))
        ranks = (("moe_ep_rank", "0"), ("pp_rank", "0"), ("tp_rank", "0"))
        self._scheduler: Labels = (*self._model, *ranks)
        self._counters: dict[str, Counter[Labels]] = defaultdict(Counter)
        self._histograms: dict[str, dict[Labels, _Histogram]] = defaultdict(dict)

    def by_stream(self, *, stream: bool) -> Labels:
        """The labels of figures that tell streamed requests from plain ones."""
        return (*self._model, ("is_streaming", "true" if stream else "false"))

    def by_rank(self) -> Labels:
        """The labels of figures that the scheduler itself keeps."""
        return self._scheduler

    def by_source(self) -> Labels:
        """The labels of the cached-token counter."""
        return (*self._model, ("cache_source", "device"))

    def by_model(self) -> Labels:
        """The labels every engine figure has."""
        return self._model

    def add(self, name: str, labels: Labels, amount: float = 1) -> None:
        """Count something."""
        self._counters[name][labels] += amount  # pyright: ignore[reportArgumentType]  Counter holds floats too

    def total(self, name: str) -> float:
        """A counter over all its labels."""
        return sum(self._counters[name].values())

    def observe(self, name: str, labels: Labels, value: float, times: int = 1) -> None:
        """Put a value into a histogram, as often as it occurred."""
        family = self._histograms[name]
        if labels not in family:
            family[labels] = _Histogram(_HISTOGRAMS[name][1])
        family[labels].observe(value, times)

    def render(self, gauges: dict[str, float]) -> str:
        """The whole exposition; the gauges are what the scheduler shows at this moment."""
        lines: list[str] = []
        for name, (text, _) in _HISTOGRAMS.items():
            if name in self._histograms:
                lines += _head(name, text, "histogram")
            for labels, histogram in self._histograms[name].items():
                lines += histogram.lines(name, labels)
        for name, text in _SUMS.items():
            if name in self._counters:
                lines += _head(name, text, "counter" if name.endswith("_total") else "gauge")
            lines += [labelled(name, labels, value) for labels, value in self._counters[name].items()]
        for name, text in _GAUGES.items():
            lines += [*_head(name, text, "gauge"), labelled(name, self._scheduler, gauges.get(name, 0.0))]
        return "\n".join(lines) + "\n"


def _head(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP sglang:{name} {text}", f"# TYPE sglang:{name} {kind}"]
