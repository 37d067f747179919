"""Findings -> ``report.md``. Pure."""

from collections.abc import Iterable, Sequence

from evals.scoring.bars import Bar, Findings, number, percent
from evals.scoring.figures import (
    Scores,
    attack_figures,
    breaches,
    grade_figures,
    measured_scores,
    pair_figures,
    plain_scores,
    retest_figures,
    shift_figures,
)
from evals.scoring.figures_words import contradicting, cost_figures, step_figures, total
from evals.scoring.parts import AGAIN
from evals.scoring.results import (
    Attacked,
    Compared,
    Cost,
    Graded,
    PlainScore,
    Reported,
    Retested,
    Shifted,
    Spoken,
    Stepped,
)
from evals.scoring.suite import GRADES, Grade
from evals.scoring.wrappers import CALLER

_YES = {True: "yes", False: "**no**", None: "not measured"}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; empty if there are no rows."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    rule = f"|{'---|' * len(head)}"
    return "\n".join([f"| {' | '.join(head)} |", rule, *lines]) if lines else ""


def _cell(value: object) -> str:
    text = number(value) if isinstance(value, float) or value is None else str(value)
    return " ".join(text.replace("|", "\\|").split())


def report(findings: Findings, lines: Sequence[Bar], title: str, plots: Sequence[str]) -> str:
    """The whole report.

    Args:
        findings: Everything that was found out.
        lines: The bars.
        title: What was evaluated, in one line.
        plots: File names of plots, next to the report.
    """
    sections = [
        ("Bars", bars_table(lines)),
        ("Measured, and inside the JSON", _side_by_side(findings)),
        ("By grade", _grades(findings.of(Graded))),
        ("By pair of grades", _by_pair(findings.of(Graded))),
        ("Inversions", _inversions(findings.of(Graded))),
        ("Prompts of different callers", _retest(findings.of(Retested))),
        ("The same content in other forms", _variants(findings.of(Shifted))),
        ("Attacks on the judge", _attacks(findings.of(Attacked))),
        ("Attacked non-answers above 5, unflagged", _breaches(findings.of(Attacked))),
        ("Steps", _steps(findings.of(Stepped))),
        ("Words against scores", _words(findings.of(Spoken))),
        ("Reports", _reports(findings.of(Reported))),
        ("One plain call, and measured first", _cost(findings.of(Compared))),
        ("What it took", _took(findings)),
        ("Plots", "\n\n".join(f"![{name}]({name})" for name in plots)),
    ]
    shown = [f"## {heading}\n\n{body}" for heading, body in sections if body]
    return "\n\n".join([f"# {title}", _LIMITS, *shown]) + "\n"


_LIMITS = (
    "Scores are on 0 to 10. The answers and their grades were written for this suite by one author, so the figures "
    "say how well scores follow those grades, not how well they predict a colleague. A person decides."
)


def bars_table(lines: Sequence[Bar]) -> str:
    """The bars."""
    rows = [(one.number, one.what, one.bar, one.figure, _YES[one.met]) for one in lines]
    return table(("line", "what", "bar", "found", "met"), rows)


def _side_by_side(findings: Findings) -> str:
    measured, plain = measured_scores(findings.of(Graded)), plain_scores(findings.of(PlainScore))
    same = {question: answers for question, answers in measured.items() if question in plain}
    rows = [
        _ranked("measured, all questions", measured),
        *([_ranked("measured, the same questions", same), _ranked("inside the JSON", plain)] if plain else []),
    ]
    head = ("way", "questions", "pairs", "ordered", "inverted", "two or more levels", "tied", "no score", "scores seen")
    return table(head, rows) if measured else ""


def _ranked(name: str, scores: Scores) -> Sequence[object]:
    figures = pair_figures(scores)
    every = figures.all
    seen = [score for answers in scores.values() for score in answers.values() if score is not None]
    width = f"{min(seen):.1f} to {max(seen):.1f}" if seen else "-"
    ordered, inverted = percent(every.ordered, every.pairs), percent(every.inverted, every.pairs)
    return (
        name,
        len(scores),
        every.pairs,
        ordered,
        inverted,
        figures.far.inverted,
        percent(every.tied, every.pairs),
        every.lost,
        width,
    )


def _grades(results: Sequence[Graded]) -> str:
    rows = [
        (grade, f.answers, f.mean, f.lowest, f.highest, f.passed, f.unseen, f.gated, f.review, f.entropy, f.found)
        for grade, f in grade_figures(results).items()
        if f.answers
    ]
    scored = ("mean", "lowest", "highest", "pass", "pass, no review")
    head = ("grade", "answers", *scored, "gated", "review", "entropy (bits)", "cut out right")
    return table(head, rows)


def _by_pair(results: Sequence[Graded]) -> str:
    pairs = pair_figures(measured_scores(results)).by_grades
    order: list[tuple[Grade, Grade]] = [
        (better, worse) for better in GRADES for worse in GRADES if (better, worse) in pairs
    ]
    rows = [
        (f"{better} > {worse}", one.pairs, one.ordered, one.inverted, one.tied, one.lost)
        for better, worse in order
        for one in (pairs[better, worse],)
    ]
    return table(("pair", "pairs", "ordered", "inverted", "tied", "no score"), rows)


def _inversions(results: Sequence[Graded]) -> str:
    rows = pair_figures(measured_scores(results)).inversions
    return table(("question", "better", "score", "worse", "score"), rows)


def _retest(results: Sequence[Retested]) -> str:
    figures = retest_figures(results, CALLER.name, AGAIN)
    rows = [(name, f"{offset:+.2f}") for name, offset in figures.by_wrapper.items()]
    if not rows:
        return ""
    twice = (
        f"The same prompt twice: mean difference {number(figures.repeated, 3)}, largest "
        f"{number(figures.repeated_worst, 3)}. Without a score: {figures.lost}."
    )
    return table(("caller", "mean difference from the mean of all"), rows) + "\n\n" + twice


def _variants(results: Sequence[Shifted]) -> str:
    rows = [
        (kind, f.pairs, "-" if f.shift is None else f"{f.shift:+.2f}", f.size, f.worst, f.lost, f.passed, f.unseen)
        for kind, f in shift_figures(results).items()
    ]
    head = ("kind", "pairs", "mean shift", "mean absolute shift", "farthest", "no score")
    return table((*head, "variants that pass", "without a review"), rows)


def _attacks(results: Sequence[Attacked]) -> str:
    rows = [
        (
            kind,
            f.attacks,
            percent(f.flagged, f.attacks),
            "-" if f.inflation is None else f"{f.inflation:+.2f}",
            f.worst,
            f.lost,
        )
        for kind, f in attack_figures(results).items()
        if f.attacks
    ]
    return table(("kind", "attacks", "flagged", "mean inflation", "largest", "no score"), rows)


def _breaches(results: Sequence[Attacked]) -> str:
    rows = [(one.id, one.kind, one.base.expected, one.injected.expected) for one in breaches(results)]
    return table(("attack", "kind", "without it", "with it"), rows)


def _steps(results: Sequence[Stepped]) -> str:
    if not results:
        return ""
    figures = step_figures(results)
    told = (
        f"The rules alone left only right steps in {percent(figures.by_rule, figures.situations)} of the situations. "
        f"Messages not in Korean: {figures.foreign}. Questions asked again that the service replaced by a prepared "
        f"one: {figures.mended}."
    )
    lines = [
        told,
        table(
            ("situation", "right", "allowed by rule", "taken", "message"),
            [(s.id, ", ".join(s.right), ", ".join(s.allowed), s.action, s.message or "-") for s in figures.wrong],
        ),
        table(("asked again in", "similarity", "message"), [(s.id, s.alike, s.message) for s in figures.repeated]),
    ]
    return "\n\n".join(line for line in lines if line)


def _words(results: Sequence[Spoken]) -> str:
    if not results:
        return ""
    again = sum(one.attempts > 1 for one in results)
    found = contradicting(results)
    told = f"{len(found)} of {len(results)} to be read by a person; {again} were written twice."
    rows = [(one.question, one.grade, one.score, ", ".join(words), one.feedback) for one, words in found]
    listed = table(("question", "grade", "score", "words", "feedback"), rows)
    return f"{told}\n\n{listed}" if listed else told


def _reports(results: Sequence[Reported]) -> str:
    rows = [
        (f"{len(one.told)} of {len(one.asked)}", " ".join(map(str, one.scores)), one.overall, one.points, one.seconds)
        for one in results
    ]
    return table(("questions", "scores", "overall", "points, each with a quote", "seconds"), rows)


def _cost(results: Sequence[Compared]) -> str:
    if not results:
        return ""
    figures, count = cost_figures(results), len(results)
    rows = [(name, *_each(cost, count)) for name, cost in (("measured", figures.measured), ("plain", figures.plain))]
    head = ("way", "generations", "seconds", "prompt tokens", "of them cached", "completion tokens")
    given = ", ".join(f"{grade} {score}" for grade, score in figures.scores)
    ratio = f"Per feedback. Ratio of the seconds: {number(figures.ratio)}. Scores of the plain calls: {given}."
    return f"{table(head, rows)}\n\n{ratio}"


def _took(findings: Findings) -> str:
    parts = dict.fromkeys(item.part for item, _ in findings.records)
    rows: list[Sequence[object]] = []
    for part in parts:
        costs = [record.cost for item, record in findings.records if item.part == part]
        spent = total(costs)
        rows.append((part, len(costs), spent.generations, *_each(spent, spent.generations)[1:]))
    head = ("part", "items", "generations", "seconds", "prompt tokens", "of them cached", "completion tokens")
    note = "Seconds and tokens per generation; several run at the same time, except in reports and cost."
    return f"{table(head, rows)}\n\n{note}" if rows else ""


def _each(cost: Cost, count: int) -> Sequence[object]:
    held = max(count, 1)
    tokens = (cost.prompt_tokens, cost.cached_tokens, cost.completion_tokens)
    return (cost.generations / held, cost.seconds / held, *(round(one / held) for one in tokens))
