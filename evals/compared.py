"""Whether a model tells the better of two answers when it sees both, which is easier than to score one by itself.

    ENGINE=embedded python -m evals.compared thin wrong

Puts two graded answers to one question side by side, in both orders, and asks for the number of the better one. What
counts is the mean over the orders of what it gives the better one, so that a liking for the first place cancels out.
Prints a line a question and one row of docs/scoring.md.
"""

import argparse
import asyncio
import math
from dataclasses import dataclass

from app.config import load_settings
from app.core.deadline import Deadline
from app.core.defuse import defuse
from app.core.generation import Generation, Message, Priority, Sampling
from app.core.llm_engine import LLMEngine
from app.telemetry.logs import configure_logs
from app.wiring import running_engine
from evals.integrity import SPLITS
from evals.scoring.suite import REAL_GRADES, SHIPPED, Grade, GradedQuestion, load_suite

_ROLE = """당신은 개발자 면접의 채점자입니다. 같은 질문에 대한 두 답변 가운데 더 나은 것의 번호 하나만 씁니다.
답변의 내용이 사실인지 먼저 따집니다. 내용이 사실과 다른 답변은 길고 자신 있어 보여도, 짧지만 맞는 답변보다 못합니다."""
_ASKED = "[질문]\n{}\n\n[답변 1]\n«{}»\n\n[답변 2]\n«{}»\n\n더 나은 답변의 번호(1 또는 2):"
_GRAMMAR = "root ::= [1-2]\n"
_GREEDY = Sampling(temperature=0.0, presence_penalty=0.0, repetition_penalty=1.0)
_SECONDS = 900.0  # one question may take, the start of an embedded engine included


@dataclass(frozen=True, slots=True)
class Compared:
    """One question: what the better answer was given in the first place, and in the second."""

    question: str
    first: float
    second: float

    @property
    def told(self) -> bool:
        """Whether the better one was preferred over both orders."""
        return self.first + self.second > 1


async def compare(engine: LLMEngine, one: GradedQuestion, better: Grade, worse: Grade) -> Compared:
    """Ask about one question, in both orders.

    Raises:
        ServiceError: see ``LLMEngine.admit`` and ``Slot.stream``.
    """
    good, bad = one.answers[better], one.answers[worse]
    first = await _first_is_better(engine, one.question, good, bad)
    return Compared(one.id, first, 1 - await _first_is_better(engine, one.question, bad, good))


async def _first_is_better(engine: LLMEngine, question: str, first: str, second: str) -> float:
    asked = (Message("system", _ROLE), Message("user", _ASKED.format(*map(defuse, (question, first, second)))))
    generation = Generation(asked, 1, _GREEDY, _GRAMMAR, Priority.FEEDBACK, alternatives=20, common=True)
    async with engine.admit(Priority.FEEDBACK, Deadline.after(_SECONDS)) as slot, slot.stream(generation) as tokens:
        _ = [piece async for piece in tokens]
    shares = {token.strip(): math.exp(logprob) for token, logprob in tokens.alternatives[0].items()}
    return shares.get("1", 0.0) / (shares.get("1", 0.0) + shares.get("2", 0.0))


async def _run(options: argparse.Namespace) -> None:
    questions = load_suite(SHIPPED, options.split).questions[: options.limit]
    found: list[Compared] = []
    async with running_engine(load_settings(), warm=False) as engine:
        await engine.monitor.wait_ready()
        for one in questions:
            found.append(await compare(engine, one, options.better, options.worse))
            last = found[-1]
            said = "told" if last.told else "NOT told"
            print(
                f"{len(found)}/{len(questions)} {last.question}: {last.first:.2f} {last.second:.2f} {said}", flush=True
            )
    told = sum(one.told for one in found)
    print(f"| {options.better} against {options.worse} | {told} of {len(found)} |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("better", choices=REAL_GRADES)
    parser.add_argument("worse", choices=REAL_GRADES)
    parser.add_argument("--split", choices=SPLITS, default="held-out")
    parser.add_argument("--limit", type=int, default=None, help="questions; all by default")
    options = parser.parse_args()
    configure_logs("ERROR")
    asyncio.run(_run(options))


if __name__ == "__main__":
    main()
