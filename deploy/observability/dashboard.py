"""The Grafana dashboard as code: ``make dashboard`` writes grafana/dashboards/llm-service.json; ``--check`` compares.

Rows answer the questions of the runbook in order: is it the engine, the load, or the service itself?
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

OUTPUT = Path(__file__).parent / "grafana" / "dashboards" / "llm-service.json"
_WIDTH = 24
_HEIGHT = 7
_INSTANCE = '{instance=~"$instance"}'


class Panel(NamedTuple):
    """One panel: queries with their legends, all in one unit."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    help: str = ""


def _late(name: str, part: float) -> str:
    return f'histogram_quantile({part}, sum by (task, le) (rate({name}_bucket{{instance=~"$instance"}}[$__rate_interval])))'


def _rate(name: str, by: str, more: str = "") -> str:
    return f'sum by ({by}) (rate({name}{{instance=~"$instance"{more}}}[$__rate_interval]))'


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "One look",
        (
            Panel("Engine up", "bool", ((f"min(llm_service_engine_up{_INSTANCE})", "up"),), "stat"),
            Panel("Places taken", "short", ((f"sum(llm_service_running{_INSTANCE})", "running"),), "stat"),
            Panel("Waiting", "short", ((f"sum(llm_service_queued{_INSTANCE})", "queued"),), "stat"),
            Panel(
                "Failing",
                "percentunit",
                (
                    (
                        'sum(rate(llm_service_requests_total{instance=~"$instance",task!="",status=~"5.."}'
                        "[$__rate_interval])) / sum(rate(llm_service_requests_total"
                        '{instance=~"$instance",task!=""}[$__rate_interval]))',
                        "5xx",
                    ),
                ),
                "stat",
            ),
            Panel("Alerts", "short", (('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),), "stat"),
            Panel("Version", "short", ((f"llm_service_info{_INSTANCE}", "{{version}}"),), "stat"),
        ),
    ),
    (
        "Load",
        (
            Panel("Requests", "reqps", ((_rate("llm_service_requests_total", "task, status", ',task!=""'), "{{task}} {{status}}"),)),
            Panel(
                "Places and queue",
                "short",
                (
                    (f"llm_service_places{_INSTANCE}", "places"),
                    (f"llm_service_running{_INSTANCE}", "running"),
                    (f"llm_service_queued{_INSTANCE}", "queued"),
                ),
            ),
            Panel("Refused", "reqps", ((_rate("llm_service_refused_total", "task, reason"), "{{task}} {{reason}}"),)),
            Panel("Time in queue, p95", "s", ((_late("llm_service_queue_seconds", 0.95), "{{task}}"),)),
            Panel("Shared answers", "reqps", ((f"rate(llm_service_coalesced_total{_INSTANCE}[$__rate_interval])", "shared"),)),
        ),
    ),
    (
        "What callers feel",
        (
            Panel("Time to first token, p50", "s", ((_late("llm_service_time_to_first_token_seconds", 0.5), "{{task}}"),)),
            Panel("Time to first token, p95", "s", ((_late("llm_service_time_to_first_token_seconds", 0.95), "{{task}}"),)),
            Panel("Time to first sentence, p95", "s", ((_late("llm_service_time_to_first_sentence_seconds", 0.95), "{{task}}"),)),
            Panel(
                "End to end, p95",
                "s",
                (
                    (
                        "histogram_quantile(0.95, sum by (http_route, le) (rate(http_server_request_duration_seconds_bucket"
                        '{instance=~"$instance",http_route=~"/api.*|/v1.*"}[$__rate_interval])))',
                        "{{http_route}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "The engine as the service sees it",
        (
            Panel("One generation, p95", "s", ((_late("gen_ai_client_operation_duration_seconds", 0.95), "{{task}}"),)),
            Panel("Its first text, p95", "s", ((_late("gen_ai_client_operation_time_to_first_chunk_seconds", 0.95), "{{task}}"),)),
            Panel("Between tokens, p50", "s", ((_late("gen_ai_server_time_per_output_token_seconds", 0.5), "{{task}}"),)),
            Panel("Tokens", "short", ((_rate("gen_ai_client_token_usage_sum", "gen_ai_token_type"), "{{gen_ai_token_type}}/s"),)),
            Panel(
                "From the prefix cache",
                "percentunit",
                (
                    (
                        f'{_rate("llm_service_cached_tokens_total", "task")} / '
                        f'{_rate("gen_ai_client_token_usage_sum", "task", chr(44) + "gen_ai_token_type=" + chr(34) + "input" + chr(34))}',
                        "{{task}}",
                    ),
                ),
            ),
            Panel(
                "Failures, retries, breaker",
                "short",
                (
                    (_rate("llm_service_generation_failures_total", "error_type"), "{{error_type}}"),
                    (f"rate(llm_service_retries_total{_INSTANCE}[$__rate_interval])", "retries"),
                    (f"llm_service_breaker_open{_INSTANCE}", "breaker open"),
                    (f"increase(llm_service_breaker_trips_total{_INSTANCE}[$__rate_interval])", "breaker trips"),
                ),
            ),
            Panel(
                "Its own figures, mirrored",
                "short",
                (
                    (f"llm_service_engine_running{_INSTANCE}", "running"),
                    (f"llm_service_engine_waiting{_INSTANCE}", "waiting"),
                ),
            ),
            Panel("KV cache", "percentunit", ((f"llm_service_engine_kv_usage{_INSTANCE}", "taken"),)),
            Panel("Age of its figures", "s", ((f"llm_service_engine_age_seconds{_INSTANCE}", "age"),)),
        ),
    ),
    (
        "SGLang's own metrics",
        (
            Panel("Running and waiting", "short", (("sum(sglang:num_running_reqs)", "running"), ("sum(sglang:num_queue_reqs)", "waiting"))),
            Panel("Throughput", "short", (("sum(sglang:gen_throughput)", "tokens/s"),)),
            Panel("Cache", "percentunit", (("avg(sglang:cache_hit_rate)", "hits"), ("max(sglang:token_usage)", "taken"))),
            Panel(
                "Time to first token, p95",
                "s",
                (("histogram_quantile(0.95, sum by (le) (rate(sglang:time_to_first_token_seconds_bucket[$__rate_interval])))", "p95"),),
            ),
        ),
    ),
    (
        "Answers",
        (
            Panel("Attempts by ending", "short", ((_rate("llm_service_attempts_total", "ending"), "{{ending}}"),)),
            Panel("Runaways", "short", ((_rate("llm_service_runaways_total", "task"), "{{task}}"),)),
            Panel("Repairs", "short", ((_rate("llm_service_repairs_total", "kind"), "{{kind}}"),)),
            Panel("Attempts to steer the judge", "short", ((_rate("llm_service_integrity_flags_total", "kind"), "{{kind}}"),)),
            Panel("In another language", "short", ((_rate("llm_service_language_violations_total", "task"), "{{task}}"),)),
            Panel("Decision records", "short", ((_rate("llm_service_decision_records_total", "outcome"), "{{outcome}}"),)),
        ),
    ),
    (
        "The service itself",
        (
            Panel("CPU", "percentunit", ((f"rate(process_cpu_seconds_total{_INSTANCE}[$__rate_interval])", "{{instance}}"),)),
            Panel("Memory", "bytes", ((f"process_resident_memory_bytes{_INSTANCE}", "{{instance}}"),)),
            Panel(
                "Event loop",
                "s",
                (
                    (f"llm_service_event_loop_lag_seconds{_INSTANCE}", "longest lag"),
                    (f"rate(llm_service_event_loop_slow_total{_INSTANCE}[$__rate_interval])", "late by 0.25 s, per second"),
                ),
            ),
            Panel("Open files", "short", ((f"process_open_fds{_INSTANCE}", "{{instance}}"),)),
            Panel("Lines of the log lost", "short", ((f"rate(llm_service_log_lines_dropped_total{_INSTANCE}[$__rate_interval])", "lines/s"),)),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The document that Grafana loads."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
             "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1}}
        )  # fmt: skip
        top += 1
        across = len(row) if row[0].kind == "stat" else 3
        width = _WIDTH // across
        height = 4 if row[0].kind == "stat" else _HEIGHT
        for number, panel in enumerate(row):
            place = {"x": number % across * width, "y": top + number // across * height, "w": width, "h": height}
            panels.append(_panel(len(panels) + 1, panel, place))
        top += -(-len(row) // across) * height
    return {
        "uid": "llm-service",
        "title": "LLM Service",
        "tags": ["llm-service"],
        "schemaVersion": 41,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_instances()]},
        "panels": panels,
    }


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend}
            for at, (query, legend) in enumerate(panel.queries)
        ],
    }


def _instances() -> dict[str, Any]:
    query = 'label_values(up{job="llm-service"}, instance)'
    return {
        "name": "instance",
        "type": "query",
        "label": "Instance",
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "query": {"query": query, "refId": "instances"},
        "definition": query,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def main() -> None:
    """Write the file, or compare."""
    text = json.dumps(dashboard(), ensure_ascii=False, indent=1) + "\n"
    if "--check" not in sys.argv:
        OUTPUT.write_text(text, "utf-8")
    elif OUTPUT.read_text("utf-8") != text:
        sys.exit(f"{OUTPUT.name} is not what dashboard.py makes. Run: make dashboard")


if __name__ == "__main__":
    main()
