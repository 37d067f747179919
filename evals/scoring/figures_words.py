"""Results -> figures of what the model writes: steps, feedbacks, reports, and what they cost. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.tasks.judging.policy import ALIKE
from evals.scoring.results import Compared, Cost, Reported, Spoken, Stepped
from evals.scoring.suite import Grade
from evals.scoring.wording import contradictions


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Whether the next step is right.

    Attributes:
        situations: How many.
        right: Steps within the right set.
        by_rule: Situations in which the rules alone left nothing but right steps.
        wrong: Steps that are not right.
        after_no_answer: Follow-ups after no answer.
        at_limit: Follow-ups with none left.
        first_ended: NEXT_PHASE before a question was asked.
        repeated: Messages that ask again what was asked.
        foreign: Messages that are not in Korean.
        mended: Repeated questions that the service itself replaced by a prepared one.
    """

    situations: int
    right: int
    by_rule: int
    wrong: Sequence[Stepped]
    after_no_answer: int
    at_limit: int
    first_ended: int
    repeated: Sequence[Stepped]
    foreign: int
    mended: int


def step_figures(results: Sequence[Stepped]) -> StepFigures:
    """All situations."""
    wrong = [one for one in results if one.action not in one.right]
    follow_ups = [one for one in results if one.action == "FOLLOW_UP"]
    return StepFigures(
        situations=len(results),
        right=len(results) - len(wrong),
        by_rule=sum(bool(one.allowed) and set(one.allowed) <= set(one.right) for one in results),
        wrong=wrong,
        after_no_answer=sum(one.no_answer for one in follow_ups),
        at_limit=sum(one.at_limit for one in follow_ups),
        first_ended=sum(one.first and one.action == "NEXT_PHASE" for one in results),
        repeated=[one for one in results if one.alike >= ALIKE],
        foreign=sum(not one.korean for one in results),
        mended=sum(any("asked before" in repair for repair in one.repaired) for one in results),
    )


def contradicting(results: Sequence[Spoken]) -> list[tuple[Spoken, Sequence[str]]]:
    """The feedbacks whose words do not go with their score, and those words."""
    return [(one, words) for one in results if (words := contradictions(one.feedback, one.score))]


def overall_of(scores: Sequence[int | None]) -> int:
    """What ``overall_score`` must be: ten times the mean of the scores that are some, halves up; 50 if none is."""
    known = [score for score in scores if score is not None]
    tenths, count = 10 * sum(known), len(known)
    return tenths // count + int(2 * (tenths % count) >= count) if count else 50


def complete(report: Reported) -> bool:
    """Whether a report holds every question that was asked, in order, and nothing else."""
    return report.told == report.asked


def follows_formula(report: Reported) -> bool:
    """Whether the overall score follows from those of the questions."""
    return report.overall == overall_of(report.scores)


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What measuring first costs, against one plain call.

    Attributes:
        measured: In all.
        plain: In all.
        ratio: Seconds of ``measured`` over those of ``plain``; None of nothing.
        scores: What the plain calls gave, by grade.
    """

    measured: Cost
    plain: Cost
    ratio: float | None
    scores: Sequence[tuple[Grade, int | None]]


def cost_figures(results: Sequence[Compared]) -> CostFigures:
    """All answers together, so that long ones count for what they are."""
    measured, plain = total(one.measured for one in results), total(one.plain for one in results)
    return CostFigures(
        measured=measured,
        plain=plain,
        ratio=measured.seconds / plain.seconds if plain.seconds else None,
        scores=[(one.grade, one.plain_score) for one in results],
    )


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of ``costs``."""
    held = list(costs)
    return Cost(
        generations=sum(one.generations for one in held),
        seconds=sum(one.seconds for one in held),
        prompt_tokens=sum(one.prompt_tokens for one in held),
        completion_tokens=sum(one.completion_tokens for one in held),
        cached_tokens=sum(one.cached_tokens for one in held),
    )
