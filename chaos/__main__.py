"""``python -m chaos [SCENARIO ...] [--seed N] [--short]``: runs scenarios and prints their figures."""

import argparse
import sys
from collections.abc import Awaitable
from typing import Protocol

import uvloop

from chaos.caller import caller
from chaos.drains import drains
from chaos.failures import failing, killed
from chaos.faults import faults, soak
from chaos.leaving import leaving
from chaos.overload import isolation, overload
from chaos.sglang import sglang
from chaos.verdict import Verdict


class Scenario(Protocol):
    """Runs against processes of its own."""

    def __call__(self, seed: int, *, short: bool) -> Awaitable[Verdict]:
        """Run once."""
        ...


SCENARIOS: dict[str, Scenario] = {
    "overload": overload,
    "killed": killed,
    "faults": faults,
    "leaving": leaving,
    "drains": drains,
    "failing": failing,
    "caller": caller,
    "isolation": isolation,
    "soak": soak,
    "sglang": sglang,
}
_ASKED_FOR = {"sglang"}  # needs an install of its own


def _print(name: str, seed: int, verdict: Verdict) -> None:
    print(f"\n{name} --seed {seed}: {'held' if verdict.held else 'NOT HELD'}")
    for check in verdict.checks:
        mark = " " if check.held else "!"
        print(f" {mark} {check.name:<48} {check.figure:<28} {check.bar}", flush=True)


async def _run(names: list[str], seed: int, *, short: bool) -> bool:
    held = True
    for name in names:
        try:
            verdict = await SCENARIOS[name](seed, short=short)
        except RuntimeError as error:  # a process that did not start, or a state that never came
            verdict = Verdict()
            verdict.none("broke off", [error])
        _print(name, seed, verdict)
        held = held and verdict.held
    return held


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(SCENARIOS)}; none: all but sglang")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    given = parser.parse_args()
    if unknown := set(given.scenario) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    names: list[str] = given.scenario or [name for name in SCENARIOS if name not in _ASKED_FOR]
    return 0 if uvloop.run(_run(names, given.seed, short=given.short)) else 1


if __name__ == "__main__":
    sys.exit(main())
