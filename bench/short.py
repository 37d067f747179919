"""CPU as a ratio to the plain service's, in less than a minute, against the recorded one: for CI.

The two are measured in turn, many times and briefly. Whatever else a machine does makes both dearer at that moment, by
caches that are lost and by clocks that sink; so each round is a ratio of its own, and the median of these is compared.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.gateways import GATEWAYS, OURS, PLAIN, Subject, install, started
from bench.measure import GAP, SATURATING, chat, measured
from bench.tools import Engine, engine

RECORDED = Path(__file__).parent / "recorded.json"
ALLOWED = 1.3  # times the recorded ratio
_ROUNDS, _SECONDS, _TOKENS = 10, 0.4, 32

Costs = Mapping[str, Sequence[float]]
"""Seconds of CPU for one request and for one chunk, by round."""


def run(*, record: bool) -> int:
    """Measure, and say what got worse: 1 if anything did."""
    ratios = medians(*_measure())
    if record:
        RECORDED.write_text(json.dumps({name: round(ratio, 4) for name, ratio in ratios.items()}, indent=2) + "\n")
    lines, worse = compared(ratios, json.loads(RECORDED.read_text()))
    print("\n".join(lines))
    return int(worse)


def medians(ours: Costs, plain: Costs) -> Mapping[str, float]:
    """The median ratio of the rounds."""
    return {
        name: statistics.median(one / other for one, other in zip(ours[name], plain[name], strict=True))
        for name in ours
    }


def compared(ratios: Mapping[str, float], recorded: Mapping[str, float]) -> tuple[list[str], bool]:
    """What to say about the ratios, and whether one is too much above its record."""
    lines = [
        f"CPU per {name}: {ratio:.4f} of the plain service's; recorded: {recorded[name]:.4f}"
        for name, ratio in ratios.items()
    ]
    worse = [name for name, ratio in ratios.items() if ratio > ALLOWED * recorded[name]]
    lines += [
        f"CPU per {name} is more than {ALLOWED:g} times the recorded ratio. See docs/benchmarks.md." for name in worse
    ]
    return lines, bool(worse)


def _measure() -> tuple[Costs, Costs]:
    install(GATEWAYS[PLAIN])
    body = json.dumps(chat(stream=False)).encode()
    with ExitStack() as stack:
        machine = stack.enter_context(engine())
        subjects = [stack.enter_context(started(GATEWAYS[name], machine.port, body)) for name in (OURS, PLAIN)]
        found: list[dict[str, list[float]]] = [{"request": [], "chunk": []} for _ in subjects]
        for _ in range(_ROUNDS):
            for subject, costs in zip(subjects, found, strict=True):
                costs["request"].append(_request(machine, subject))
                costs["chunk"].append(_chunk(machine, subject))
    return found[0], found[1]


def _request(machine: Engine, subject: Subject) -> float:
    machine.configure(tokens=64)
    cpu, load = measured(subject, chat(stream=False), connections=SATURATING, seconds=_SECONDS)
    return cpu / load.requests


def _chunk(machine: Engine, subject: Subject) -> float:
    machine.configure(tokens=_TOKENS, gap=GAP)
    cpu, load = measured(subject, chat(stream=True), connections=SATURATING, seconds=0)
    return cpu / load.chunks
