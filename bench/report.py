"""What a run found -> docs/benchmarks.md and its plot."""

# matplotlib leaves its keyword arguments untyped.
# pyright: reportUnknownMemberType=false

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.figure import Figure

from bench.document import DOCUMENT, put
from bench.gateways import LITELLM, OURS, PLAIN, RAW, ROUTER, Subject
from bench.measure import DIRECT, Figures, median

_DOCS = DOCUMENT.parent
_COLUMNS = (
    "| | CPU us a request | requests/s on its core | added p50 ms, one connection | p99 ms | CPU us a chunk "
    "| TTFT p50 / p99 ms | chunk delay p50 / p99 ms | ready in s | memory MB |"
)
_OURS, _OTHERS = "#2b6cb0", "#a0aec0"


def write(found: Mapping[str, Sequence[Figures]], subjects: Sequence[Subject], rounds: int, seconds: float) -> None:
    """Put the tables of this run into docs/benchmarks.md, between its two marks, and draw the plot."""
    medians = {name: median(rows) for name, rows in found.items()}
    put("gateways", [_conditions(rounds, seconds, medians), "", *_table(medians, subjects), "", *_ratios(medians)])
    _plot({name: one for name, one in medians.items() if name != DIRECT})


def _conditions(rounds: int, seconds: float, medians: Mapping[str, Figures]) -> str:
    busiest = max(one.tools for name, one in medians.items() if name != DIRECT)
    return (
        f"Medians of {rounds} rounds of {seconds:g} s a measurement, all in turn, on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}, load average at the end "
        f"{os.getloadavg()[0]:.1f}. Engine and load generator took at most {busiest:.0%} of their core."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _table(medians: Mapping[str, Figures], subjects: Sequence[Subject]) -> list[str]:
    direct = medians[DIRECT]
    known = {subject.name: subject for subject in subjects}
    rows = [
        _COLUMNS,
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in medians.items():
        subject = known[name]
        cost = ("-", "-") if name == DIRECT else (f"{one.request:.0f}", f"{one.chunk:.1f}")
        start = ("-", "-") if name == DIRECT else (f"{subject.startup:.1f}", f"{subject.memory / 2**20:.0f}")
        rows.append(
            f"| {name} | {cost[0]} | {one.rate:,.0f} | {(one.p50 - direct.p50) / 1000:.2f} | {one.p99 / 1000:.2f} "
            f"| {cost[1]} | {one.ttft / 1000:.1f} / {one.ttft_p99 / 1000:.1f} "
            f"| {one.delay / 1000:.2f} / {one.delay_p99 / 1000:.1f} | {start[0]} | {start[1]} |"
        )
    return rows


def _ratios(medians: Mapping[str, Figures]) -> list[str]:
    rows = ["| this service, as a ratio to | CPU a request | CPU a chunk | added p50 |", "|---|---|---|---|"]
    if OURS not in medians:
        return []
    ours, direct = medians[OURS], medians[DIRECT]
    for name in (ROUTER, "vllm-router", "smg", RAW, PLAIN, LITELLM):
        if name in medians:
            other = medians[name]
            added = (ours.p50 - direct.p50) / (other.p50 - direct.p50)
            rows.append(
                f"| {name} | {ours.request / other.request:.3f} | {ours.chunk / other.chunk:.3f} | {added:.3f} |"
            )
    return rows


def _plot(medians: Mapping[str, Figures]) -> None:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    sides = figure.subplots(1, 2)
    for axes, field, title in zip(
        sides, ("request", "chunk"), ("CPU a plain chat (us)", "CPU a streamed chunk (us)"), strict=True
    ):
        names = sorted(medians, key=lambda name: getattr(medians[name], field), reverse=True)
        values = [getattr(medians[name], field) for name in names]
        bars = axes.barh(names, values, color=[_OURS if name == OURS else _OTHERS for name in names])
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
        axes.set_xscale("log")
        axes.set_xlim(right=max(values) * 4)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(_DOCS / "benchmarks.svg", metadata={"Date": None})
