"""CPU as ratios to what else passes the same on, in a minute, against the recorded ones: for CI.

A request is compared with the plain service's: both are mostly Python. A chunk is half the kernel's, and kernels and
the machines below them differ: the same code took 0.13 times the plain service's chunk on one machine and 0.19 times on
another. Raw proxy does the same reads and writes, so a chunk is compared with its. It has our connections to an engine,
so what makes those dearer for both is seen in a request only; ``make bench`` compares with gateways of others.

Two gateways are measured in turn, many times and briefly. Whatever else a machine does makes both dearer at that time,
by caches that are lost and by clocks that sink; so each round is a ratio of its own, and the median of these counts.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.gateways import GATEWAYS, OURS, PLAIN, RAW, Subject, install, started
from bench.measure import GAP, SATURATING, chat, measured
from bench.tools import Engine, engine

RECORDED = Path(__file__).parent / "recorded.json"
ALLOWED = 1.3  # times the recorded ratio
_ROUNDS, _SECONDS, _TOKENS = 10, 0.4, 32

BESIDE: Mapping[str, str] = {"request": PLAIN, "chunk": RAW}
"""What is measured -> the gateway that it is compared with."""

Costs = Mapping[str, Sequence[float]]
"""Seconds of CPU by what is measured, in each round."""


def run(*, record: bool) -> int:
    """Measure, and say what got worse: 1 if anything did."""
    ratios = medians(*_measured_in_turn())
    if record:
        RECORDED.write_text(json.dumps({name: round(ratio, 4) for name, ratio in ratios.items()}, indent=2) + "\n")
    lines, worse = compared(ratios, json.loads(RECORDED.read_text()))
    print("\n".join(lines))
    return int(worse)


def medians(ours: Costs, others: Costs) -> Mapping[str, float]:
    """The median ratio of the rounds."""
    return {
        name: statistics.median(one / other for one, other in zip(ours[name], others[name], strict=True))
        for name in ours
    }


def compared(ratios: Mapping[str, float], recorded: Mapping[str, float]) -> tuple[list[str], bool]:
    """What to say about the ratios, and whether one is too much above its record."""
    lines = [
        f"CPU per {name}: {ratio:.4f} of the {BESIDE[name]}'s; recorded: {recorded[name]:.4f}"
        for name, ratio in ratios.items()
    ]
    worse = [name for name, ratio in ratios.items() if ratio > ALLOWED * recorded[name]]
    lines += [
        f"CPU per {name} is more than {ALLOWED:g} times the recorded ratio. See docs/benchmarks.md." for name in worse
    ]
    return lines, bool(worse)


def _measured_in_turn() -> tuple[Costs, Costs]:
    for name in BESIDE.values():
        install(GATEWAYS[name])
    body = json.dumps(chat(stream=False)).encode()
    ours: dict[str, list[float]] = {name: [] for name in BESIDE}
    others: dict[str, list[float]] = {name: [] for name in BESIDE}
    with ExitStack() as stack:
        machine = stack.enter_context(engine())
        subjects = {
            name: stack.enter_context(started(GATEWAYS[name], machine.port, body)) for name in (OURS, *BESIDE.values())
        }
        for _ in range(_ROUNDS):
            for name, measure in (("request", _request), ("chunk", _chunk)):
                ours[name].append(measure(machine, subjects[OURS]))
                others[name].append(measure(machine, subjects[BESIDE[name]]))
    return ours, others


def _request(machine: Engine, subject: Subject) -> float:
    machine.configure(tokens=64)
    cpu, load = measured(subject, chat(stream=False), connections=SATURATING, seconds=_SECONDS)
    return cpu / load.requests


def _chunk(machine: Engine, subject: Subject) -> float:
    machine.configure(tokens=_TOKENS, gap=GAP)
    cpu, load = measured(subject, chat(stream=True), connections=SATURATING, seconds=0)
    return cpu / load.chunks
