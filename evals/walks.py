"""Random walks through every grammar, in both grammar engines, over Qwen's real vocabulary.

    python -m evals.walks --walks 100000 --jobs 2 --grammar "feedback ko" --minutes 60

Needs ``deploy/sglang-cpu/install.py``: the engines run in SGLang's interpreter. All grammars advance together, so that
a run that is out of time has walked each of them; then prints one row for each grammar, engine and sampler. Ends with
status 1 if a walk did not end by itself, is not JSON, is refused by the task's answer model, holds Han, kana or a
control character, or was refused by a matcher whose own mask had allowed its next token.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from pydantic import ValidationError

from evals import vocabulary
from evals.grammars import Walkable, all_grammars
from evals.walk_order import Finished, Order

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-sglang" / "bin" / "python"
STUBS = ROOT / "deploy" / "sglang-cpu" / "stubs"
ENGINES = ("xgrammar", "llguidance")
SAMPLERS = 4
LONGEST = 60_000  # tokens: more than the longest answer of any grammar has characters
_ROUND = 1000  # walks of one sampler before the next grammar's turn: a worker starts in seconds, xgrammar's in ten

_FOREIGN = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")
_SAY_EVERY = 2.0  # seconds between progress lines

Key = tuple[str, str, str]
"""Grammar, engine, sampler."""


@dataclass
class Tally:
    """What came of the walks of one row."""

    counts: Counter[str] = field(default_factory=Counter[str])
    first_fault: str = ""

    def add(self, walk: Finished, faults: Sequence[str]) -> None:
        """Count one walk."""
        self.counts.update(walks=1, tokens=walk["tokens"], hidden=walk["hidden"])
        self.counts.update(faults)
        if faults and not self.first_fault:
            self.first_fault = f"{', '.join(faults)}: {walk['text']!r}"


def faults_of(walk: Finished, answer: Walkable) -> list[str]:
    """What is wrong with one walk; normally nothing."""
    if walk["fate"] == "refused":
        return ["refused"]
    faults = ["foreign"] if _FOREIGN.search(walk["text"]) else []
    if _CONTROL.search(walk["text"]):
        faults.append("control")
    try:
        said = answer.begun + walk["text"]
        json.loads(said)
        answer.answer.model_validate_json(said)
    except (ValueError, ValidationError):
        faults.append("invalid")
    return faults if walk["fate"] == "done" else [*faults, "endless"]


def walk_all(
    grammars: Mapping[str, Walkable],
    engines: Sequence[str],
    walks: int,
    *,
    jobs: int = 1,
    seed: int = 4,
    quiet: bool = False,
    limit: int = LONGEST,
    minutes: float = math.inf,
) -> dict[Key, Tally]:
    """Walk each grammar ``walks`` times in each engine, a quarter by each sampler.

    Args:
        grammars: By name.
        engines: Of ``ENGINES``.
        walks: Of each grammar in each engine.
        jobs: Processes.
        seed: The same seed gives the same walks.
        quiet: No progress line.
        limit: Tokens after which a walk counts as endless.
        minutes: After which no more walks are begun.

    Raises:
        subprocess.CalledProcessError: a worker failed; its last words are on standard error.
    """
    tokens = str(vocabulary.fetch(ROOT / "models"))
    each = walks // SAMPLERS
    # An own process for each order: what one remembers or leaks does not slow the next.
    orders = [
        Order(
            vocabulary=tokens,
            engine=engine,
            kind=grammars[names[0]].kind,
            grammars={name: grammars[name].text for name in names},
            first=begin + job,
            step=jobs,
            walks=min(begin + _ROUND, each),
            seed=seed,
            limit=limit,
        )
        for begin in range(0, each, _ROUND)
        for names in _batches(grammars, each)
        for engine in engines
        for job in range(jobs)
    ]
    tallies: dict[Key, Tally] = defaultdict(Tally)
    progress = _Progress(len(engines) * len(grammars) * walks, time.monotonic() + 60 * minutes, quiet=quiet)
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(_follow, order, grammars, progress) for order in orders]):
            for key, tally in done.result().items():
                whole = tallies[key]
                whole.counts += tally.counts
                whole.first_fault = whole.first_fault or tally.first_fault
    return dict(sorted(tallies.items()))


def _batches(grammars: Mapping[str, Walkable], each: int) -> Sequence[Sequence[str]]:
    """The names that share a worker: all of them if that is no more than a round, else each has its own."""
    kinds = {grammar.kind for grammar in grammars.values()}
    return [list(grammars)] if len(kinds) == 1 and each * len(grammars) <= _ROUND else [[name] for name in grammars]


class _Progress:
    """One line on standard error, written anew."""

    def __init__(self, total: int, until: float, *, quiet: bool) -> None:
        self._until = until
        self._total = total
        self._done = 0
        self._started = self._said = time.monotonic()
        self._quiet = quiet

    @property
    def left(self) -> float:
        """Seconds until the run is out of time."""
        return self._until - time.monotonic()

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if not self._quiet and now - self._said > _SAY_EVERY:
            self._said = now
            rate = self._done / (now - self._started)
            print(f"{self._done:,} of {self._total:,} walks, {rate:.0f}/s ", end="\r", file=sys.stderr, flush=True)


def _follow(order: Order, grammars: Mapping[str, Walkable], progress: _Progress) -> dict[Key, Tally]:
    tallies: dict[Key, Tally] = defaultdict(Tally)
    for walk in _worker(order, progress):
        faults = faults_of(walk, grammars[walk["grammar"]])
        tallies[walk["grammar"], order["engine"], walk["sampler"]].add(walk, faults)
        progress.step()
    return tallies


def _worker(order: Order, progress: _Progress) -> Iterator[Finished]:
    if progress.left <= 0:
        return
    command = [str(PYTHON), "-W", "ignore", "-m", "evals.walk_worker"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=engine_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if order["engine"] == "xgrammar" else None,  # it warns of every stop token offered
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101  (asked for above)
        assert process.stdout is not None  # noqa: S101
        alarm = Timer(min(progress.left, threading.TIMEOUT_MAX), process.kill)
        alarm.daemon = True
        alarm.start()
        process.stdin.write(json.dumps(order))
        process.stdin.close()
        for line in process.stdout:
            if line.endswith("\n"):  # else the alarm rang in the middle of it
                yield json.loads(line)
        alarm.cancel()
    if process.returncode and progress.left > 0:
        raise subprocess.CalledProcessError(process.returncode, command)


def engine_environment() -> dict[str, str]:
    """For processes in SGLang's interpreter: stand-ins for what a CPU has not, one thread."""
    path = os.pathsep.join(map(str, (ROOT, STUBS)))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def table(tallies: Mapping[Key, Tally]) -> str:
    """Markdown, as in docs/decoding.md."""
    names = ("walks", "tokens", "invalid", "foreign", "control", "endless", "refused", "hidden")
    lines = [
        "| grammar | engine | sampler | walks | tokens | invalid | Han, kana | control | endless | refused | hidden |",
        "|---" * 11 + "|",
    ]
    for key, tally in tallies.items():
        lines.append("| " + " | ".join([*key, *(f"{tally.counts[name]:,}" for name in names)]) + " |")
    return "\n".join(lines)


def broken(tallies: Mapping[Key, Tally]) -> list[str]:
    """One line for each row that is not clean: its first fault, shortened."""
    return [f"{' / '.join(key)}: {tally.first_fault:.300}" for key, tally in tallies.items() if tally.first_fault]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=100_000, help="for each grammar and engine")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=math.inf, help="print the table after so long at the latest")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: both")
    parser.add_argument("--grammar", action="append", choices=list(all_grammars()), help="default: all")
    arguments = parser.parse_args()
    chosen = {name: one for name, one in all_grammars().items() if name in (arguments.grammar or all_grammars())}
    started = time.monotonic()
    engines = arguments.engine or ENGINES
    tallies = walk_all(
        chosen, engines, arguments.walks, jobs=arguments.jobs, seed=arguments.seed, minutes=arguments.minutes
    )
    print(table(tallies))
    print(f"{time.monotonic() - started:.0f} s")
    print("\n".join(broken(tallies)), file=sys.stderr)
    sys.exit(1 if broken(tallies) else 0)


if __name__ == "__main__":
    main()
