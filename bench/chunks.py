"""How much of what a chunk of a stream costs is the kernel's: no gateway that passes each chunk on at once saves it.

make bench ARGS=chunks

The kernel's share is what its clock saw, a hundred times a second, so it takes long to tell; the sum is exact.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

from bench.document import put, row
from bench.gateways import GATEWAYS, OURS, RAW, ROUTER, Subject, install, started
from bench.measure import GAP, MICRO, SATURATING, TOKENS, chat, measured
from bench.processes import ticks
from bench.tools import engine

_NAMES = (OURS, ROUTER, RAW)
GOAL = 0.8  # times sglang-router


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a chunk, in microseconds of CPU; the median of rounds, or one round.

    Attributes:
        whole: All of it.
        kernel: What the kernel took of it.
    """

    whole: float
    kernel: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this section."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table; 1 if a chunk costs more than it may."""
    found: dict[str, list[Cost]] = {name: [] for name in _NAMES}
    with ExitStack() as stack:
        machine = stack.enter_context(engine())
        machine.configure(tokens=TOKENS, gap=GAP)
        body = json.dumps(chat(stream=False)).encode()
        for name in _NAMES:
            install(GATEWAYS[name])
        subjects = [stack.enter_context(started(GATEWAYS[name], machine.port, body)) for name in _NAMES]
        for number in range(options.rounds):
            for subject in subjects:
                cost = _cost(subject, options.seconds)
                found[subject.name].append(cost)
                print(
                    f"round {number + 1} of {options.rounds}: {subject.name:14} {cost.whole:5.1f} us a chunk, "
                    f"{cost.kernel:.1f} of it in the kernel",
                    flush=True,
                )
    costs = {name: _median(rounds) for name, rounds in found.items()}
    lines = table(costs)
    print("\n".join(lines))
    if options.write:
        put("chunks", lines)
    return int(costs[OURS].whole > GOAL * costs[ROUTER].whole)


def _cost(subject: Subject, seconds: float) -> Cost:
    pid = cast("int", subject.pid)  # of a gateway; only the engine alone has none
    before = ticks(pid)
    cpu, load = measured(subject, chat(stream=True), connections=SATURATING, seconds=seconds)
    user, kernel = (now - then for now, then in zip(ticks(pid), before, strict=True))
    whole = cpu / load.chunks * MICRO
    return Cost(whole, whole * kernel / max(1, user + kernel))


def _median(rounds: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(one.whole for one in rounds), statistics.median(one.kernel for one in rounds))


def table(costs: Mapping[str, Cost]) -> list[str]:
    """Lines of Markdown."""
    goal, kernel = GOAL * costs[ROUTER].whole, costs[OURS].kernel
    head = ("CPU us a chunk", "in all", "in the kernel", "outside it")
    rows = [row(head), "|---" * len(head) + "|"]
    rows += [row((name, *(f"{us:.1f}" for us in (c.whole, c.kernel, c.whole - c.kernel)))) for name, c in costs.items()]
    said = f"The goal is {goal:.1f} us; the kernel alone takes {kernel:.1f} here, which leaves {goal - kernel:.1f}."
    return [*rows, "", said]
