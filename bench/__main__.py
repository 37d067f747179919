"""Measures the service beside its peers, in turn, in one run: ``make bench``.

Without options: all peers, five rounds, docs/benchmarks.md and its plot are written. ``--short`` compares with the
plain service only, and fails if the ratio got worse than the recorded one.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from bench import answers, chunks, flat, interview, short
from bench.gateways import GATEWAYS, OURS, Subject, install, started
from bench.measure import DIRECT, Figures, chat, one_round
from bench.processes import stop_on_signals
from bench.streams import open_streams
from bench.tools import Engine, engine

_AS_WRITTEN = argparse.RawTextHelpFormatter


class Section(Protocol):
    """A module that measures something of its own."""

    __doc__: str | None
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


SECTIONS: Mapping[str, Section] = {
    "interview": cast("Section", interview),
    "answers": cast("Section", answers),
    "flat": cast("Section", flat),
    "chunks": cast("Section", chunks),
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=_AS_WRITTEN)
    sections = parser.add_subparsers(dest="section", metavar="SECTION", help="something else than gateways:")
    for name, section in SECTIONS.items():
        section.add_options(sections.add_parser(name, description=section.__doc__, formatter_class=_AS_WRITTEN))
    parser.add_argument("--short", action="store_true", help="ours and the plain service; compare with the record")
    parser.add_argument("--record", action="store_true", help="with --short: keep the ratio as the new record")
    parser.add_argument("--streams", type=int, help="open so many streams at once instead; memory and delays")
    parser.add_argument("--gap", type=float, default=1.0, help="with --streams: seconds between two chunks of one")
    parser.add_argument("--of", default=OURS, choices=GATEWAYS, metavar="GATEWAY", help="with --streams: %(default)s")
    parser.add_argument("--only", default=",".join(GATEWAYS), help="gateways, by commas: %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--json", type=Path, help="write every round there")
    options = parser.parse_args()
    stop_on_signals()
    try:
        if options.section:
            sys.exit(SECTIONS[options.section].run(options))
        if options.short:
            sys.exit(short.run(record=options.record))
        if options.streams:
            open_streams(options.streams, options.gap, GATEWAYS[options.of])
            return
        found, subjects = compare(options.only.split(","), options.rounds, options.seconds)
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if options.json:
        options.json.write_text(json.dumps({name: [vars_of(one) for one in rounds] for name, rounds in found.items()}))
    if set(options.only.split(",")) == set(GATEWAYS):
        import_module("bench.report").write(found, subjects, options.rounds, options.seconds)  # needs matplotlib
        print("written: docs/benchmarks.md, docs/benchmarks.svg")


def vars_of(figures: Figures) -> dict[str, float]:
    """As a dictionary."""
    return {name: getattr(figures, name) for name in Figures.__slots__}


def compare(names: Sequence[str], rounds: int, seconds: float) -> tuple[dict[str, list[Figures]], list[Subject]]:
    """Every round of every gateway, the engine alone (``direct``) included; each round measures all in turn."""
    gateways = [GATEWAYS[name] for name in names]
    for gateway in gateways:
        install(gateway)
    body = json.dumps(chat(stream=False)).encode()
    with ExitStack() as stack:
        machine: Engine = stack.enter_context(engine())
        subjects = [Subject(DIRECT, machine.port)]
        for gateway in gateways:
            print(f"starting {gateway.name} ...", flush=True)
            subjects.append(stack.enter_context(started(gateway, machine.port, body)))
        found: dict[str, list[Figures]] = {subject.name: [] for subject in subjects}
        for number in range(rounds):
            for subject in subjects:
                figures = one_round(machine, subject, seconds)
                found[subject.name].append(figures)
                print(
                    f"round {number + 1} of {rounds}: {subject.name:14} {figures.request:8.0f} us/request "
                    f"{figures.chunk:6.1f} us/chunk, p50 {figures.p50 / 1000:.2f} ms, tools {figures.tools:.0%}",
                    flush=True,
                )
    return found, subjects


if __name__ == "__main__":
    main()
