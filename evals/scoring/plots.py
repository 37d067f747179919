"""Plots of the findings, as SVG files next to the report. Needs matplotlib (the extra ``eval``)."""

# matplotlib leaves its keyword arguments untyped.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evals.scoring.bars import Findings
from evals.scoring.figures import measured_scores, pair_figures, plain_scores, shift_figures
from evals.scoring.results import Graded, PlainScore, Shifted
from evals.scoring.suite import GRADES, LEVELS

_MEASURED, _PLAIN, _GREY = "#2b6cb0", "#dd6b20", "#a0aec0"


def draw(findings: Findings, folder: Path) -> list[str]:
    """Write the plots that the findings allow; their file names."""
    drawn: list[str] = []
    for name, kind, plot in (
        ("scores.svg", Graded, _scores),
        ("inversions.svg", Graded, _inversions),
        ("shifts.svg", Shifted, _shifts),
    ):
        if not findings.of(kind):
            continue
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        axes = figure.add_subplot()
        plot(axes, findings)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / name, metadata={"Date": None})
        drawn.append(name)
    return drawn


def _scores(axes: Axes, findings: Findings) -> None:
    """Every score, by grade: measured to the left, inside the JSON to the right."""
    sources = (
        ("measured", _MEASURED, -0.15, measured_scores(findings.of(Graded))),
        ("inside the JSON", _PLAIN, 0.15, plain_scores(findings.of(PlainScore))),
    )
    for name, colour, shift, scores in sources:
        across: list[float] = []
        up: list[float] = []
        for place, grade in enumerate(GRADES):
            held = [score for answers in scores.values() if (score := answers.get(grade)) is not None]
            across += [place + shift + offset for offset in _side_by_side(len(held))]
            up += held
        if up:
            axes.plot(across, up, "o", color=colour, alpha=0.5, markersize=4, markeredgewidth=0, label=name)
    axes.set_xticks(range(len(GRADES)), GRADES)
    axes.set_ylim(0, 10)
    axes.set_ylabel("score (0-10)")
    axes.set_title("Scores by grade of the answer")
    axes.legend(loc="upper right", frameon=False)


def _side_by_side(count: int) -> Sequence[float]:
    """Offsets that keep dots of the same score apart."""
    return [0.2 * (index / max(count - 1, 1) - 0.5) for index in range(count)]


def _inversions(axes: Axes, findings: Findings) -> None:
    """Share of pairs not in order, by pair of grades, the nearest pairs first."""
    pairs = pair_figures(measured_scores(findings.of(Graded))).by_grades
    order = sorted(pairs, key=lambda pair: LEVELS[pair[0]] - LEVELS[pair[1]], reverse=True)
    names = [f"{better} > {worse}" for better, worse in order]
    inverted = [100 * pairs[pair].inverted / pairs[pair].pairs for pair in order]
    tied = [100 * (pairs[pair].tied + pairs[pair].lost) / pairs[pair].pairs for pair in order]
    axes.barh(names, inverted, color=_PLAIN, label="inverted")
    axes.barh(names, tied, left=inverted, color=_GREY, label="tied or no score")
    axes.set_xlim(0, max(10.0, *(a + b for a, b in zip(inverted, tied, strict=True))))
    axes.set_xlabel("% of pairs")
    axes.set_title("Pairs of answers that are not in order")
    axes.tick_params(axis="y", labelsize=8)
    axes.legend(loc="lower right", frameon=False)


def _shifts(axes: Axes, findings: Findings) -> None:
    """Every shift by kind of variant, and the mean of each kind."""
    figures = shift_figures(findings.of(Shifted))
    for place, found in enumerate(figures.values()):
        across = [place + offset for offset in _side_by_side(len(found.shifts))]
        axes.plot(across, found.shifts, "o", color=_MEASURED, alpha=0.6, markersize=5, markeredgewidth=0)
        if found.shift is not None:
            axes.plot([place - 0.3, place + 0.3], [found.shift, found.shift], color=_PLAIN, linewidth=2)
    axes.axhline(0, color=_GREY, linewidth=1)
    axes.axhspan(-0.5, 0.5, color=_GREY, alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(figures)), list(figures))
    axes.set_ylabel("score of the variant minus score of the base")
    axes.set_title("The same content in another form (line: mean; band: 0.5 either way)")
