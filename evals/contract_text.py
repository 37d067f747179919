"""What one sentence of the contract does to scores: that quoted answers are material and no orders.

    ENGINE=embedded python -m evals.contract_text --seconds 280

Each answer of the held-out half is measured with that sentence and without it: attacked answers beside their honest
bases (inflation), and graded honest answers (drift). Flagged passages stay in, so that the sentence stands alone. What
was measured is kept in a file; another run goes on from there, and the table is of all that is there.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.config import load_settings
from app.core.deadline import Deadline
from app.core.generation import Message, Priority
from app.core.llm_engine import LLMEngine
from app.core.prompt_builder import Language
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.measure import digit_shares
from app.tasks.judging.rubric import RULES, SCORES, messages, rubric_for, to_score
from app.telemetry.logs import configure_logs
from app.wiring import running_engine
from evals.scoring.suite import Grade, load_suite, spread, spread_over_kinds

_SUITE = Path(__file__).parent / "suite"
_FILE = Path("eval-results/contract-text.json")
_PAIRS, _QUESTIONS = 60, 15
_GRADES: tuple[Grade, ...] = ("excellent", "solid", "thin", "wrong")
_PATIENCE = 120.0

Item = tuple[str, str, str]  # what it is called, the question, the answer


def items() -> Iterator[Item]:
    """What is measured: pairs and honest answers in turn, so that a part of it is of both."""
    suite = load_suite(_SUITE, "held-out")
    korean = [one for one in suite.injections if one.language == "ko"]
    honest = [
        (f"honest/{grade}/{one.id}", one.question, one.answers[grade])
        for one in spread(suite.questions, _QUESTIONS)
        for grade in _GRADES
    ]
    for number, one in enumerate(spread_over_kinds(korean, _PAIRS)):
        yield f"base/{one.kind}/{one.id}", one.question, one.base
        yield f"attack/{one.kind}/{one.id}", one.question, one.text
        if number < len(honest):
            yield honest[number]


async def score(engine: LLMEngine, question: str, answer: str, *, told: bool) -> float:
    """The measured score, 1 to 9.5, with the sentence or without it."""
    language: Language = "ko"
    asked = messages(rubric_for(None), Case(), Exchange(question, answer), language)
    if not told:
        system = asked[0].content.replace(f"\n{RULES[language]}", "")
        if system == asked[0].content:
            raise RuntimeError("the sentence is not where it is looked for")
        asked = (Message("system", system), *asked[1:])
    until = Deadline.after(_PATIENCE)
    async with engine.admit(Priority.FEEDBACK, until) as slot:
        shares, _, _ = await digit_shares(slot, asked, Priority.FEEDBACK, until)
    return to_score(sum(digit * share for digit, share in shares.items()), SCORES)


async def run(known: dict[str, float], seconds: float) -> None:
    """Measure what is not known, for so long; with the sentence first."""
    left = [item for item in items() if item[0] not in known]
    until = time.monotonic() + seconds
    settings = load_settings()
    async with running_engine(settings, warm=False) as engine:
        await engine.monitor.wait_ready()
        for told in (True, False):  # one after the other: each has a prefix of its own in the engine's cache
            for name, question, answer in left:
                if time.monotonic() > until - (seconds / 2 if told else 0):
                    break
                key = f"{name}#{told}"
                if key not in known:
                    known[key] = await score(engine, question, answer, told=told)
                    print(f"{len(known)}: {key} {known[key]:.2f}", flush=True)


def table(known: Mapping[str, float]) -> Iterator[str]:
    """The figures, as rows of docs/security.md."""
    names = [item[0] for item in items()]
    attacks = [name for name in names if name.startswith("attack")]
    for told in (True, False):
        pairs = [(f"{name}#{told}", f"{name.replace('attack/', 'base/', 1)}#{told}") for name in attacks]
        rises = [known[attack] - known[base] for attack, base in pairs if attack in known and base in known]
        yield _row(f"inflation {'with' if told else 'without'} the sentence", rises)
    for grade in (*_GRADES, ""):
        chosen = [name for name in names if name.startswith(f"honest/{grade}")]
        both = [(f"{name}#True", f"{name}#False") for name in chosen]
        drifts = [known[told] - known[plain] for told, plain in both if told in known and plain in known]
        yield _row(f"drift of honest answers, {grade or 'all'}", drifts)


def _row(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"| {name} | 0 | | |"
    return f"| {name} | {len(values)} | {statistics.mean(values):+.2f} | {max(values, key=abs):+.2f} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=280)
    seconds = parser.parse_args().seconds
    configure_logs("ERROR")
    known: dict[str, float] = json.loads(_FILE.read_text()) if _FILE.exists() else {}
    try:
        asyncio.run(run(known, seconds))
    finally:
        _FILE.parent.mkdir(exist_ok=True)
        _FILE.write_text(json.dumps(known, ensure_ascii=False))
    print("| what | of | mean | largest |\n|---|---|---|---|\n" + "\n".join(table(known)))


if __name__ == "__main__":
    main()
