"""The parts in which the model writes: steps, feedbacks, reports, and what they cost."""

import time
from collections.abc import Sequence
from functools import partial

from app.core.deadline import Deadline
from app.core.llm_engine import LLMEngine
from app.schemas.report import ReportResponse
from app.schemas.task import TaskRequest
from app.tasks.feedback import FEEDBACK
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.judging.similar import similarity
from app.tasks.report import REPORT
from evals.scoring.judging import Terms, plain_call
from evals.scoring.metering import MeteredEngine
from evals.scoring.results import Compared, Reported, Spoken, Stepped
from evals.scoring.runner import Item
from evals.scoring.suite import GRADES, LEVELS, REAL_GRADES, Exchanged, Grade, GradedQuestion, Situation, spread
from evals.scoring.wrappers import CALLER, report_request, step_request

QUESTIONS = 11  # of a report: the first caller's longest interview


def situations(chosen: Sequence[Situation], terms: Terms) -> list[Item]:
    """One step in each situation."""
    items: list[Item] = []
    for one in chosen:
        request = step_request(one)
        run = partial(_step, request=request, one=one, terms=terms)
        items.append(Item("situations", one.id, (request,), run, Stepped, weight=10, words=True))
    return items


async def _step(engine: LLMEngine, *, request: TaskRequest, one: Situation, terms: Terms) -> Stepped:
    body = await MESSAGE_FIRST.run(engine, request, Deadline.after(terms.seconds), terms.policy)
    message = body.message
    asked = [exchange.question for exchange in one.history]
    return Stepped(
        id=one.id,
        right=one.right,
        allowed=tuple(body.meta.decision.allowed) if body.meta.decision else (),
        action=body.action,
        message=message,
        first=not one.history,
        no_answer=one.no_answer,
        at_limit=one.at_limit,
        alike=max((similarity(message, question) for question in asked), default=0.0) if message else 0.0,
        korean=message is None or any("가" <= char <= "힣" for char in message),
        repaired=tuple(body.meta.repaired),
    )


def agreement(questions: Sequence[GradedQuestion], count: int, terms: Terms) -> list[Item]:
    """``count`` feedbacks over answers of all grades in turn."""
    items: list[Item] = []
    for one, grade in _answers(questions, GRADES, count):
        request = _feedback_request(one, grade)
        run = partial(_speak, request=request, one=one, grade=grade, terms=terms)
        items.append(Item("agreement", f"{one.id}/{grade}", (request,), run, Spoken, weight=10, words=True))
    return items


async def _speak(engine: LLMEngine, *, request: TaskRequest, one: GradedQuestion, grade: Grade, terms: Terms) -> Spoken:
    body = await FEEDBACK.run(engine, request, Deadline.after(terms.seconds), terms.policy)
    return Spoken(question=one.id, grade=grade, score=body.score, feedback=body.feedback, attempts=body.meta.attempts)


def reports(questions: Sequence[GradedQuestion], count: int, terms: Terms) -> list[Item]:
    """``count`` reports, each of 11 questions with answers of mixed grades."""
    if not questions:
        return []
    items: list[Item] = []
    for number in range(count):
        start = number % len(questions)
        turned = [*questions[start:], *questions[:start]]
        graded: list[tuple[GradedQuestion, Grade]] = [
            (one, GRADES[(place + number) % len(GRADES)]) for place, one in enumerate(spread(turned, QUESTIONS))
        ]
        interview = tuple(Exchanged(one.question, one.answers[grade]) for one, grade in graded)
        request = report_request(interview, [2 * LEVELS[grade] + 1 for _, grade in graded])
        run = partial(_report, request=request, interview=interview, terms=terms)
        name = f"report {number + 1}"
        items.append(Item("reports", name, (request,), run, Reported, weight=120, alone=True, words=True))
    return items


async def _report(engine: LLMEngine, *, request: TaskRequest, interview: Sequence[Exchanged], terms: Terms) -> Reported:
    started = time.perf_counter()
    body = await REPORT.run(engine, request, Deadline.after(terms.seconds), terms.policy)
    seconds = time.perf_counter() - started
    evidence = body.meta.evidence or []
    return Reported(
        asked=tuple(one.question for one in interview),
        told=tuple(one.question for one in body.question_feedbacks),
        scores=_scores(body),
        overall=body.overall_score,
        quotes=len(evidence),
        verified=sum(quote.quote in interview[quote.question - 1].answer for quote in evidence),
        points=len(body.strengths) + len(body.improvements),
        seconds=seconds,
    )


def _scores(body: ReportResponse) -> tuple[int | None, ...]:
    """Of each question; None where the answer was found unscorable, so that its score is none."""
    measured = body.meta.scores or []
    lost = {number for number, score in enumerate(measured) if score.expected is None}
    return tuple(None if number in lost else one.score for number, one in enumerate(body.question_feedbacks))


def cost(questions: Sequence[GradedQuestion], count: int, terms: Terms) -> list[Item]:
    """``count`` real answers, each by both ways, one after the other; who goes first changes."""
    if not questions:
        return []
    items: list[Item] = []
    comparison = _Comparison(questions, terms)
    for number, (one, grade) in enumerate(_answers(questions, REAL_GRADES, count)):
        request = _feedback_request(one, grade)
        run = partial(comparison.compare, request=request, one=one, grade=grade, plain_first=number % 2 == 1)
        name = f"{one.id}/{grade}"
        items.append(Item("cost", name, (request,), run, Compared, weight=25, alone=True, words=True))
    return items


class _Comparison:
    """Both ways to a feedback, warm: what is the same for all answers is in the engine's prefix cache."""

    def __init__(self, questions: Sequence[GradedQuestion], terms: Terms) -> None:
        self._last = {one.phase: one for one in questions}  # each phase may have a rubric of its own
        self._terms = terms

    async def compare(
        self, engine: LLMEngine, *, request: TaskRequest, one: GradedQuestion, grade: Grade, plain_first: bool
    ) -> Compared:
        if warm_up := self._last.pop(one.phase, None):
            await self._both(engine, engine, _feedback_request(warm_up, "solid"), plain_first=True)
        measured, plain = MeteredEngine(engine), MeteredEngine(engine)
        score = await self._both(measured, plain, request, plain_first=plain_first)
        return Compared(question=one.id, grade=grade, measured=measured.spent, plain=plain.spent, plain_score=score)

    async def _both(
        self, measured: LLMEngine, plain: LLMEngine, request: TaskRequest, *, plain_first: bool
    ) -> int | None:
        """The score of the plain call."""
        terms = self._terms
        score = await plain_call(plain, request, terms) if plain_first else None
        await FEEDBACK.run(measured, request, Deadline.after(terms.seconds), terms.policy)
        return score if plain_first else await plain_call(plain, request, terms)


def _feedback_request(one: GradedQuestion, grade: Grade) -> TaskRequest:
    return CALLER.request(one.question, one.answers[grade], one.level, one.phase)


def _answers(
    questions: Sequence[GradedQuestion], grades: Sequence[Grade], count: int
) -> list[tuple[GradedQuestion, Grade]]:
    """``count`` answers over all grades in turn, from questions spread over the suite."""
    chosen = spread(questions, -(-count // len(grades)))
    answers: list[tuple[GradedQuestion, Grade]] = [(one, grade) for one in chosen for grade in grades]
    return answers[:count]
