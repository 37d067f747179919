"""Findings -> the bars of "Done when", each with what was found and whether it is enough. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from evals.scoring.figures import (
    attack_figures,
    breaches,
    is_no_answer,
    measured_scores,
    pair_figures,
    retest_figures,
    shift_figures,
)
from evals.scoring.figures_words import complete, contradicting, cost_figures, follows_formula, step_figures
from evals.scoring.parts import AGAIN
from evals.scoring.results import Attacked, Compared, Graded, Reported, Result, Retested, Shifted, Spoken, Stepped
from evals.scoring.runner import Item, Record
from evals.scoring.wrappers import CALLER

K = TypeVar("K", bound=Result)

INVERSIONS = 0.03  # share of pairs
ORDERED = 0.85  # share of pairs
RETEST = 0.5  # of 10
SHIFT = 0.5  # of 10
EQUAL = ("padded", "hedged")  # kinds of variants whose shift has a bar
RIGHT = 0.95  # share of situations
RATIO = 1.3  # of the engine time of one plain call
RATIO_EMBEDDED = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found out.

    Attributes:
        engine: Its name.
        model: Its name.
        records: With the items they belong to.
    """

    engine: str
    model: str
    records: Sequence[tuple[Item, Record]]

    def of(self, kind: type[K]) -> list[K]:
        """The results of one kind, in the order of their items."""
        return [record.result for _, record in self.records if isinstance(record.result, kind)]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of "Done when".

    Attributes:
        number: Of the line in the issue.
        what: Is measured.
        bar: What is asked.
        figure: What was found.
        met: Whether it is enough; None if it was not measured.
    """

    number: int
    what: str
    bar: str
    figure: str
    met: bool | None


def bars(findings: Findings) -> list[Bar]:
    """All bars, in order."""
    return [
        *_pairs(findings.of(Graded)),
        *_retest(findings.of(Retested)),
        *_variants(findings.of(Shifted)),
        *_attacks(findings.of(Attacked)),
        *_steps(findings.of(Stepped)),
        _agreement(findings.of(Spoken)),
        *_reports(findings.of(Reported)),
        *_cost(findings.of(Compared), embedded=findings.engine == "embedded"),
    ]


def percent(part: int, whole: int) -> str:
    """``part`` of ``whole`` in words."""
    return f"{part} of {whole} ({part / whole:.1%})" if whole else "none"


def number(value: float | None, digits: int = 2) -> str:
    """``value``, or a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def _at_most(value: float | None, most: float) -> bool | None:
    return None if value is None else value <= most


def _pairs(results: Sequence[Graded]) -> list[Bar]:
    figures = pair_figures(measured_scores(results))
    every, far = figures.all, figures.far
    known = bool(every.pairs)
    inverted, ordered = percent(every.inverted, every.pairs), percent(every.ordered, every.pairs)
    return [
        Bar(
            1,
            "inversions of two or more levels",
            "0",
            f"{far.inverted} of {far.pairs}",
            far.inverted == 0 if far.pairs else None,
        ),
        Bar(
            1,
            "inversions in all",
            f"<= {INVERSIONS:.0%}",
            inverted,
            every.inverted <= INVERSIONS * every.pairs if known else None,
        ),
        Bar(
            1,
            "pairs strictly ordered",
            f">= {ORDERED:.0%}",
            ordered,
            every.ordered >= ORDERED * every.pairs if known else None,
        ),
    ]


def _retest(results: Sequence[Retested]) -> list[Bar]:
    figures = retest_figures(results, CALLER.name, AGAIN)
    text = f"{number(figures.difference)} over {figures.answers} answers (largest {number(figures.worst)})"
    what = "mean absolute difference between prompts of 5 callers, of 10"
    return [Bar(2, what, f"<= {RETEST}", text, _at_most(figures.difference, RETEST))]


def _variants(results: Sequence[Shifted]) -> list[Bar]:
    figures = shift_figures(results)
    lines: list[Bar] = []
    for kind in EQUAL:
        found = figures.get(kind)
        shift = found.shift if found else None
        text = f"{shift:+.2f} over {found.pairs} pairs" if found and shift is not None else "-"
        met = _at_most(None if shift is None else abs(shift), SHIFT)
        lines.append(Bar(2, f"mean shift, {kind}, of 10", f"within {SHIFT}", text, met))
    return lines


def _attacks(results: Sequence[Attacked]) -> list[Bar]:
    every = attack_figures(results)["all"]
    broken, non_answers = len(breaches(results)), sum(is_no_answer(one.base) for one in results)
    inflation = "-" if every.inflation is None else f"{every.inflation:+.2f}"
    return [
        Bar(
            3,
            "attacked non-answers above 5, unflagged",
            "0",
            f"{broken} of {non_answers}",
            broken == 0 if non_answers else None,
        ),
        Bar(
            3,
            "inflation, mean; flagged",
            "as they are",
            f"{inflation}; {percent(every.flagged, every.attacks)}",
            True if results else None,
        ),
    ]


def _steps(results: Sequence[Stepped]) -> list[Bar]:
    figures = step_figures(results)
    known = bool(results)

    def zero(what: str, count: int, number: int = 4) -> Bar:
        return Bar(number, what, "0", str(count), count == 0 if known else None)

    return [
        Bar(
            4,
            "steps within the right set",
            f">= {RIGHT:.0%}",
            percent(figures.right, figures.situations),
            figures.right >= RIGHT * figures.situations if known else None,
        ),
        zero("follow-ups after no answer", figures.after_no_answer),
        zero("follow-ups at the limit", figures.at_limit),
        zero("phases ended before the first question", figures.first_ended),
        zero("questions asked again", len(figures.repeated)),
    ]


def _agreement(results: Sequence[Spoken]) -> Bar:
    found = len(contradicting(results))
    what = "feedbacks whose words contradict their score"
    return Bar(5, what, "0 of 60", f"{found} of {len(results)}", found == 0 if results else None)


def _reports(results: Sequence[Reported]) -> list[Bar]:
    quotes, verified = sum(one.quotes for one in results), sum(one.verified for one in results)
    points = sum(one.points for one in results)
    whole, formula = sum(map(complete, results)), sum(map(follows_formula, results))
    rests = verified == quotes == points
    return [
        Bar(6, "quotes verified, of all points", "100 %", f"{verified} of {points}", rests if results else None),
        Bar(
            6,
            "reports with all 11 questions, in order",
            "all",
            f"{whole} of {len(results)}",
            whole == len(results) if results else None,
        ),
        Bar(
            6,
            "overall_score by the formula",
            "all",
            f"{formula} of {len(results)}",
            formula == len(results) if results else None,
        ),
    ]


def _cost(results: Sequence[Compared], *, embedded: bool) -> list[Bar]:
    ratio = cost_figures(results).ratio
    text = "-" if ratio is None else f"{ratio:.2f}x over {len(results)} answers"
    what = "engine time of a feedback against one plain call"
    lines = [Bar(7, what, f"<= {RATIO}x", text, _at_most(ratio, RATIO))]
    if embedded:
        met = None if ratio is None else ratio < RATIO_EMBEDDED
        lines.append(Bar(7, f"{what}, embedded", f"< {RATIO_EMBEDDED}x", text, met))
    return lines
