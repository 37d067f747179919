"""Whether a request costs the same whatever else goes on: from 1 to 1,000 connections, from 1 to 100 KB of prompt.

make bench ARGS=flat; --of "raw proxy" tells how much of it is the server's and the kernel's.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.document import put, row
from bench.gateways import GATEWAYS, OURS, Subject, install, started
from bench.measure import MICRO, chat, measured
from bench.processes import open_many_files
from bench.tools import engine

CONNECTIONS = (1, 10, 100, 1000)
KILOBYTES = (1, 25, 50, 100)
_SMALL_CONNECTIONS = 8  # while the prompt grows
ALLOWED = 1.2  # times the least
_LONGER = (1, 2, 4, 8, 16, 32, 64)  # times the seconds asked for, where a busy machine answers little
_TIMES = 2  # answers on each connection, at least


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of CPU a request; medians of rounds.

    Attributes:
        connections: By the number of connections.
        kilobytes: By the size of the prompt.
    """

    connections: Mapping[int, float]
    kilobytes: Mapping[int, float]

    @property
    def spread(self) -> float:
        """The dearest number of connections, as a ratio to the cheapest."""
        return max(self.connections.values()) / min(self.connections.values())

    @property
    def further(self) -> Sequence[float]:
        """What each further kilobyte costs, between one size and the next."""
        sizes = sorted(self.kilobytes)
        return [(self.kilobytes[more] - self.kilobytes[less]) / (more - less) for less, more in pairwise(sizes)]

    @property
    def growth(self) -> float:
        """What a further kilobyte costs in the largest prompts, as a ratio to the smallest."""
        return self.further[-1] / self.further[0]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this section."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement: %(default)s")
    parser.add_argument("--of", default=OURS, choices=GATEWAYS, metavar="GATEWAY", help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table; 1 if it is not flat."""
    open_many_files()
    connections: dict[int, list[float]] = {count: [] for count in CONNECTIONS}
    kilobytes: dict[int, list[float]] = {size: [] for size in KILOBYTES}
    gateway = GATEWAYS[options.of]
    install(gateway)
    with engine() as machine, started(gateway, machine.port, json.dumps(chat(stream=False)).encode()) as subject:
        measured(subject, chat(stream=False), connections=max(CONNECTIONS), seconds=0)  # what is made once is made
        for number in range(options.rounds):
            for count, costs in connections.items():
                costs.append(_cost(subject, count, 1, options.seconds))
            for size, costs in kilobytes.items():
                costs.append(_cost(subject, _SMALL_CONNECTIONS, size, options.seconds))
            print(f"round {number + 1} of {options.rounds}", flush=True)
    found = Costs(_medians(connections), _medians(kilobytes))
    lines = table(found)
    print("\n".join(lines))
    if options.write:
        put("flat", lines)
    return int(max(found.spread, found.growth) > ALLOWED)


def _cost(subject: Subject, count: int, size: int, seconds: float) -> float:
    """Microseconds of CPU a request, on connections that are open; longer than ``seconds`` if too few were answered.

    Raises:
        RuntimeError: they are too few in the longest time, too.
    """
    body = chat(stream=False, size=size * 1024)
    once, first = measured(subject, body, connections=count, seconds=0)  # what opening them costs
    for longer in _LONGER:
        cpu, load = measured(subject, body, connections=count, seconds=longer * seconds)
        if load.requests >= _TIMES * first.requests:
            return (cpu - once) / (load.requests - first.requests) * MICRO
    raise RuntimeError(f"{count} connections had too few answers in {_LONGER[-1] * seconds:g} s: give more --seconds")


def _medians(of: Mapping[int, Sequence[float]]) -> Mapping[int, float]:
    return {key: statistics.median(costs) for key, costs in of.items()}


def table(found: Costs) -> list[str]:
    """Lines of Markdown."""
    said = (
        f"The dearest number of connections costs {found.spread:.2f} times the cheapest; a KB more costs "
        f"{found.growth:.2f} times as much in the largest prompts as in the smallest."
    )
    return [
        row(("connections, 1 KB of prompt", *(f"{count:,}" for count in found.connections))),
        "|---" * (len(found.connections) + 1) + "|",
        row(("CPU us a request", *(f"{cost:.0f}" for cost in found.connections.values()))),
        "",
        row((f"KB of prompt, {_SMALL_CONNECTIONS} connections", *found.kilobytes)),
        "|---" * (len(found.kilobytes) + 1) + "|",
        row(("CPU us a request", *(f"{cost:.0f}" for cost in found.kilobytes.values()))),
        row(("CPU us a KB", *(f"{cost / size:.1f}" for size, cost in found.kilobytes.items()))),
        row(("CPU us for each KB more", "", *(f"{cost:.2f}" for cost in found.further))),
        "",
        said,
    ]
