"""Whether a model tells a false answer when the right one stands beside it.

    ENGINE=embedded python -m evals.referenced

Measures the solid, the thin and the fluent wrong answer to each technical question as the service does, but with a
reference answer, written by us, in the prompt and in each of the rubric's examples. ``--without`` leaves the references
out. Prints a line a question, the scores in that order, and one row of docs/scoring.md.
"""

import argparse
import asyncio
import tomllib
from collections.abc import Mapping
from dataclasses import replace

from app.config import load_settings
from app.core.deadline import Deadline
from app.core.generation import Message, Priority
from app.core.llm_engine import LLMEngine
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.measure import digit_shares
from app.tasks.judging.plainly import plainly
from app.tasks.judging.rubric import SCORES, messages, rubric_for, to_score
from app.telemetry.logs import configure_logs
from app.wiring import running_engine
from evals.integrity import SPLITS
from evals.scoring.suite import SHIPPED, Grade, GradedQuestion, load_suite

_GRADES: tuple[Grade, ...] = ("solid", "thin", "wrong")
_ASKED, _ANSWERED = "[질문]\n", "\n\n[답변]\n"
_SECONDS = 900.0  # one answer may take, the start of an embedded engine included


def references() -> Mapping[str, str]:
    """Question -> what is right."""
    entries = tomllib.loads((SHIPPED / "references.toml").read_text(encoding="utf-8"))["reference"]
    return {entry["question"]: entry["text"] for entry in entries}


def with_references(asked: tuple[Message, ...], known: Mapping[str, str]) -> tuple[Message, ...]:
    """``asked`` with a reference between each question and its answer.

    Raises:
        KeyError: a question has none.
    """
    return tuple(one if one.role != "user" else _with_reference(one, known) for one in asked)


def _with_reference(one: Message, known: Mapping[str, str]) -> Message:
    """The same for one message that shows a question and an answer."""
    question, _, rest = one.content.removeprefix(_ASKED).partition(_ANSWERED)
    return Message(one.role, f"{_ASKED}{question}\n\n[정답]\n{known[question]}{_ANSWERED}{rest}")


async def score(engine: LLMEngine, question: str, answer: str, known: Mapping[str, str] | None) -> float:
    """What ``answer`` is measured at, 0-10.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``digit_shares``.
    """
    case = Case((Exchange(question, answer),), phase="TECHNICAL")
    plain = replace(case.exchanges[0], answer=plainly(answer))
    asked = messages(rubric_for(case.phase), case, plain, "ko")
    if known is not None:
        asked = with_references(asked, known)
    until = Deadline.after(_SECONDS)
    async with engine.admit(Priority.FEEDBACK, until) as slot:
        digits, _, _ = await digit_shares(slot, asked, Priority.FEEDBACK, until)
    return to_score(sum(digit * share for digit, share in digits.items()), SCORES)


async def _run(options: argparse.Namespace) -> None:
    known = None if options.without else references()
    asked = [one for one in load_suite(SHIPPED, options.split).questions if one.phase == "TECHNICAL"][: options.limit]
    found: list[Mapping[Grade, float]] = []
    async with running_engine(load_settings(), warm=False) as engine:
        await engine.monitor.wait_ready()
        for one in asked:
            found.append(await _scores(engine, one, known))
            print(f"{len(found)}/{len(asked)} {one.id}:", *(f"{value:.2f}" for value in found[-1].values()), flush=True)
    above = [sum(one["wrong"] > one[grade] for one in found) for grade in ("thin", "solid")]
    what = "without references" if known is None else "a reference beside each answer"
    print(f"| {what} | {above[0]} of {len(found)} | {above[1]} of {len(found)} |")


async def _scores(engine: LLMEngine, one: GradedQuestion, known: Mapping[str, str] | None) -> Mapping[Grade, float]:
    return {grade: await score(engine, one.question, one.answers[grade], known) for grade in _GRADES}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=SPLITS, default="held-out")
    parser.add_argument("--limit", type=int, default=None, help="questions; all by default")
    parser.add_argument("--without", action="store_true", help="without references, as the service measures")
    options = parser.parse_args()
    configure_logs("ERROR")
    asyncio.run(_run(options))


if __name__ == "__main__":
    main()
