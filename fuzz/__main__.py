"""``python -m fuzz RUN [--seed N] [--count N] [--first N] [--short]``: hostile requests, and what came of them."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import uvloop

from chaos.verdict import Verdict
from fuzz.abuse import abuse
from fuzz.canaries import canaries
from fuzz.fuzzing import bodies
from fuzz.schema import schema
from fuzz.timing import timing
from fuzz.trespass import trespass


@dataclass(frozen=True, slots=True)
class Run:
    """One kind of run.

    Attributes:
        start: Does it, for a seed, a first number and a count.
        count: How many requests the long form sends; for abuse, seconds of each kind.
        short: The same for the short form.
    """

    start: Callable[[int, int, int], Awaitable[Verdict]]
    count: int
    short: int


RUNS = {
    "bodies": Run(bodies, 1_000_000, 20_000),
    "trespass": Run(trespass, 100_000, 5_000),
    "canaries": Run(canaries, 100_000, 3_000),
    "schema": Run(schema, 500, 20),
    "timing": Run(timing, 50_000, 5_000),
    "abuse": Run(abuse, 20, 3),
}


_MEASURE = {"timing", "abuse"}  # for a quiet machine


async def _all(names: list[str], seed: int, first: int, count: int | None, *, short: bool) -> bool:
    held = True
    for name in names:
        run = RUNS[name]
        wanted = count or (run.short if short else run.count)
        verdict = await run.start(seed, first, wanted)
        print(f"\n{name} --seed {seed} --first {first} --count {wanted}: {'held' if verdict.held else 'NOT HELD'}")
        for check in verdict.checks:
            print(f" {' ' if check.held else '!'} {check.name:<48} {check.figure:<40} {check.bar}", flush=True)
        held = held and verdict.held
    return held


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("run", nargs="*", help=f"of {', '.join(RUNS)}; none: all but timing and abuse, which measure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first request: long runs go in slices")
    parser.add_argument("--count", type=int, help="requests; for abuse seconds of each kind")
    parser.add_argument("--short", action="store_true", help="what CI runs")
    given = parser.parse_args()
    if unknown := set(given.run) - set(RUNS):
        parser.error(f"no such run: {', '.join(sorted(unknown))}")
    names: list[str] = given.run or [name for name in RUNS if name not in _MEASURE]
    held = uvloop.run(_all(names, given.seed, given.first, given.count, short=given.short))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
