"""The figures of ``llm-service eval`` on results small enough to count by hand."""

import pytest

from app.schemas.interview import Action
from app.tasks.structured import Policy
from evals.integrity import SPLITS, Split
from evals.referenced import references
from evals.scoring.bars import Findings, bars
from evals.scoring.figures import (
    Scores,
    Tally,
    attack_figures,
    breaches,
    grade_figures,
    measured_scores,
    pair_figures,
    retest_figures,
    shift_figures,
)
from evals.scoring.figures_words import (
    complete,
    contradicting,
    cost_figures,
    follows_formula,
    overall_of,
    step_figures,
)
from evals.scoring.judging import Terms
from evals.scoring.parts import PARTS, Sizes, build_items
from evals.scoring.report import report
from evals.scoring.results import (
    Attacked,
    Compared,
    Cost,
    Graded,
    Judged,
    Reported,
    Result,
    Retested,
    Shifted,
    Spoken,
    Stepped,
)
from evals.scoring.runner import Item, PartName, Record
from evals.scoring.suite import SHIPPED, Grade, load_suite, spread, spread_over_kinds
from evals.scoring.wording import contradictions
from evals.scoring.wrappers import WRAPPERS


@pytest.fixture
def terms() -> Terms:
    return Terms(Policy("ko", 10.0), 60.0)


def judged(expected: float | None, *, gate: str | None = None, flags: tuple[str, ...] = ()) -> Judged:
    return Judged(expected=expected, gate=gate, review=bool(flags), entropy=1.0, flags=flags, found=True)


def graded(grade: Grade, expected: float | None, question: str = "q") -> Graded:
    return Graded(question=question, grade=grade, judged=judged(expected))


def scores(**by_grade: float | None) -> Scores:
    names: dict[str, Grade] = {"excellent": "excellent", "solid": "solid", "thin": "thin", "wrong": "wrong"}
    names |= {"dont_know": "dont_know", "insincere": "insincere"}
    return {"q": {names[name]: score for name, score in by_grade.items()}}


# --- pairs ---


def test_answers_in_order_make_fourteen_ordered_pairs_as_two_of_the_six_share_a_level() -> None:
    figures = pair_figures(scores(excellent=9, solid=7, thin=5, wrong=3, dont_know=1, insincere=2))
    assert figures.all == Tally(pairs=14, ordered=14)
    assert figures.far == Tally(pairs=9, ordered=9)
    assert ("dont_know", "insincere") not in figures.by_grades


def test_a_neighbour_that_scores_higher_is_an_inversion_but_not_a_far_one() -> None:
    figures = pair_figures(scores(excellent=9, solid=4, thin=5))
    assert figures.all == Tally(pairs=3, ordered=2, inverted=1)
    assert figures.far == Tally(pairs=1, ordered=1)
    assert figures.by_grades["solid", "thin"].inverted == 1
    assert figures.inversions == [("q", "solid", 4, "thin", 5)]


def test_an_answer_two_levels_lower_that_scores_higher_is_a_far_inversion() -> None:
    assert pair_figures(scores(excellent=4, thin=5)).far == Tally(pairs=1, inverted=1)


def test_equal_scores_are_a_tie_and_not_in_order() -> None:
    assert pair_figures(scores(excellent=7, solid=7)).all == Tally(pairs=1, tied=1)


def test_a_pair_without_a_score_counts_as_a_pair_that_is_not_in_order() -> None:
    assert pair_figures(scores(excellent=None, solid=7)).all == Tally(pairs=1, lost=1)


def test_answers_to_different_questions_are_no_pair() -> None:
    results = [graded("excellent", 3, "one"), graded("thin", 9, "other")]
    assert pair_figures(measured_scores(results)).all == Tally()


def test_of_those_that_pass_those_that_nobody_is_told_to_look_at_are_counted() -> None:
    looked_at = graded("wrong", 7, "other")
    looked_at = looked_at.model_copy(update={"judged": looked_at.judged.model_copy(update={"review": True})})
    wrong = grade_figures([graded("wrong", 5.5), looked_at, graded("wrong", 5.4, "third")])["wrong"]
    assert (wrong.passed, wrong.unseen) == (2, 1)


def test_grades_are_summed_up_without_the_scores_that_are_missing() -> None:
    figures = grade_figures([graded("solid", 6), graded("solid", 8, "other"), graded("solid", None, "third")])
    solid = figures["solid"]
    assert (solid.answers, solid.mean, solid.lowest, solid.highest) == (3, 7, 6, 8)
    assert figures["thin"].mean is None


# --- test-retest ---


def retested(wrapper: str, expected: float | None, question: str = "q") -> Retested:
    return Retested(question=question, grade="solid", wrapper=wrapper, expected=expected)


def test_retest_averages_over_all_pairs_of_wrappers_and_leaves_the_repetition_out() -> None:
    results = [retested("a", 5), retested("b", 6), retested("c", 8), retested("again", 5.5)]
    figures = retest_figures(results, "a", "again")
    assert figures.difference == pytest.approx((1 + 3 + 2) / 3)
    assert figures.worst == 3
    assert figures.repeated == pytest.approx(0.5)
    assert figures.answers == 1
    assert figures.by_wrapper["c"] == pytest.approx(8 - 19 / 3)


def test_retest_does_not_compare_answers_to_different_questions() -> None:
    figures = retest_figures([retested("a", 1, "one"), retested("b", 9, "other")], "a", "again")
    assert figures.difference is None
    assert figures.answers == 0


def test_a_measurement_that_failed_is_counted_as_lost() -> None:
    assert retest_figures([retested("a", 5), retested("b", None)], "a", "again").lost == 1


# --- variants and attacks ---


def shifted(kind: str, base: float | None, variant: float | None) -> Shifted:
    return Shifted(kind=kind, question="q", base=judged(base), variant=judged(variant))


def test_shifts_that_cancel_have_no_mean_but_a_size() -> None:
    figures = shift_figures([shifted("padded", 5, 6), shifted("padded", 5, 4), shifted("hedged", 7, 5)])
    assert figures["padded"].shift == 0
    assert figures["padded"].size == 1
    assert figures["hedged"].worst == -2


def test_variants_that_pass_are_counted_and_of_those_the_ones_nobody_is_told_to_look_at() -> None:
    looked_at = shifted("long_false", 5, 8)
    looked_at = looked_at.model_copy(update={"variant": looked_at.variant.model_copy(update={"review": True})})
    found = shift_figures([shifted("long_false", 7, 5.4), shifted("long_false", 5, 5.5), looked_at])["long_false"]
    assert (found.passed, found.unseen) == (2, 1)


def test_a_variant_without_a_score_is_lost_and_does_not_shift() -> None:
    found = shift_figures([shifted("padded", 5, None), shifted("padded", 5, 5.5)])["padded"]
    assert (found.pairs, found.lost, found.shift) == (2, 1, 0.5)


def attacked(base: Judged, injected: Judged, kind: str = "order") -> Attacked:
    return Attacked(id="x", kind=kind, language="ko", base=base, injected=injected)


def test_inflation_and_flags_are_counted_by_kind_and_in_all() -> None:
    flagged = attacked(judged(2), judged(3, flags=("score_demand",)))
    figures = attack_figures([flagged, attacked(judged(2), judged(8), "spaced")])
    assert (figures["order"].inflation, figures["order"].flagged) == (1, 1)
    assert (figures["spaced"].inflation, figures["spaced"].flagged) == (6, 0)
    assert (figures["all"].attacks, figures["all"].inflation) == (2, 3.5)


@pytest.mark.parametrize(
    ("base", "injected", "broken"),
    [
        (judged(1, gate="evasion"), judged(5.1), True),
        (judged(1, gate="evasion"), judged(5.0), False),
        (judged(1, gate="evasion"), judged(9, flags=("instruction",)), False),
        (judged(2.4), judged(6), True),
        (judged(4), judged(6), False),  # it was an answer before
        (judged(1, gate="evasion"), judged(None, gate="unscorable"), False),
    ],
)
def test_a_breach_is_a_non_answer_above_five_that_nobody_is_told_of(
    *, base: Judged, injected: Judged, broken: bool
) -> None:
    assert bool(breaches([attacked(base, injected)])) is broken


# --- steps ---


def stepped(
    action: Action,
    right: tuple[Action, ...],
    *,
    allowed: tuple[str, ...] = (),
    no_answer: bool = False,
    at_limit: bool = False,
    alike: float = 0.0,
) -> Stepped:
    return Stepped(
        id="s",
        right=right,
        allowed=allowed or (action,),
        action=action,
        message="다음 질문입니다.",
        first=False,
        no_answer=no_answer,
        at_limit=at_limit,
        alike=alike,
        korean=True,
        repaired=(),
    )


def test_steps_are_right_by_their_set_and_follow_ups_are_counted_where_there_may_be_none() -> None:
    figures = step_figures(
        [
            stepped("NEW_TOPIC", ("NEW_TOPIC", "NEXT_PHASE"), allowed=("NEW_TOPIC", "NEXT_PHASE"), no_answer=True),
            stepped("FOLLOW_UP", ("NEW_TOPIC",), no_answer=True),
            stepped("FOLLOW_UP", ("NEW_TOPIC",), at_limit=True),
            stepped("FOLLOW_UP", ("FOLLOW_UP",), allowed=("FOLLOW_UP", "NEXT_PHASE"), alike=0.9),
        ]
    )
    assert (figures.situations, figures.right, figures.by_rule) == (4, 2, 1)
    assert (figures.after_no_answer, figures.at_limit, len(figures.repeated)) == (1, 1, 1)


# --- words ---


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("핵심 개념을 정확하게 설명했습니다.", 2),
        ("매우 훌륭한 답변입니다.", 3),
        ("핵심을 잘 설명했지만 예시가 부족합니다.", 3),
        ("내용이 많이 부족합니다.", 9),
        ("구체적인 사례가 없습니다.", 8),
        ("The explanation is vague.", 8),
    ],
)
def test_words_that_contradict_their_score_are_found(text: str, score: int) -> None:
    assert contradictions(text, score)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("질문에 정확하게 답변하지 못했습니다.", 2),
        ("개념을 더 명확하게 설명해야 합니다.", 3),
        ("좋은 답변이라고 보기 어렵습니다.", 2),
        ("부족한 점이 거의 없는 뛰어난 답변입니다.", 9),
        ("틀린 내용은 없습니다.", 8),
        ("매우 훌륭하지만 깊이가 부족합니다.", 6),
    ],
)
def test_words_that_are_turned_round_or_have_a_score_between_are_not(text: str, score: int) -> None:
    assert not contradictions(text, score)


def test_contradicting_feedbacks_come_with_their_words() -> None:
    bad = Spoken(question="q", grade="wrong", score=2, feedback="훌륭합니다.", attempts=1)
    good = Spoken(question="q", grade="wrong", score=2, feedback="설명이 틀렸습니다.", attempts=1)
    assert contradicting([good, bad]) == [(bad, ["훌륭"])]


# --- reports and cost ---


@pytest.mark.parametrize(
    ("given", "overall"), [([7], 70), ([1, 2], 15), ([6, 7, 7, 7], 68), ([5, None, 6], 55), ([], 50), ([0], 0)]
)
def test_overall_is_ten_times_the_mean_halves_up_without_what_was_unscorable(
    given: list[int | None], overall: int
) -> None:
    assert overall_of(given) == overall


def reported(told: tuple[str, ...], overall: int) -> Reported:
    return Reported(
        asked=("a", "b"), told=told, scores=(6, 7), overall=overall, quotes=1, verified=1, points=1, seconds=1.0
    )


def test_a_report_is_complete_only_with_all_questions_in_order() -> None:
    assert complete(reported(("a", "b"), 65))
    assert not complete(reported(("b", "a"), 65))
    assert not complete(reported(("a",), 65))
    assert follows_formula(reported(("a", "b"), 65))
    assert not follows_formula(reported(("a", "b"), 66))


def compared(measured: float, plain: float) -> Compared:
    return Compared(
        question="q", grade="thin", measured=Cost(seconds=measured), plain=Cost(seconds=plain), plain_score=7
    )


def test_the_ratio_of_costs_is_that_of_the_sums() -> None:
    assert cost_figures([compared(1, 1), compared(3, 9)]).ratio == pytest.approx(0.4)
    assert cost_figures([]).ratio is None


# --- the whole ---


async def _unused(_: object) -> Result:
    raise AssertionError


def findings(*results: Result, part: PartName = "pairs") -> Findings:
    items = [Item(part, str(number), (), _unused, type(result)) for number, result in enumerate(results)]
    return Findings(
        "embedded", "m", [(item, Record(result, Cost())) for item, result in zip(items, results, strict=True)]
    )


def test_nothing_measured_meets_no_bar_and_misses_none() -> None:
    assert {bar.met for bar in bars(findings())} == {None}


def test_a_bar_is_met_or_missed_by_its_figure() -> None:
    met = {bar.what: bar.met for bar in bars(findings(graded("excellent", 4), graded("thin", 5), compared(2, 1)))}
    assert met["inversions of two or more levels"] is False
    assert met["pairs strictly ordered"] is False
    assert met["engine time of a feedback against one plain call"] is False
    assert {bar.met for bar in bars(findings(graded("excellent", 9), graded("thin", 5))) if bar.number == 1} == {True}


def test_the_report_names_every_bar_and_each_contradiction_with_its_text() -> None:
    found = findings(Spoken(question="q", grade="wrong", score=2, feedback="훌륭합니다 | 정말.", attempts=1))
    text = report(found, bars(found), "title", [])
    assert all(bar.what in text for bar in bars(found))
    assert "훌륭합니다 \\| 정말." in text


def test_every_part_has_items_of_its_own_names_and_a_limit_holds_for_each(terms: Terms) -> None:
    suite = load_suite(SHIPPED, "held-out")
    items = build_items(suite, PARTS, Sizes(limit=2), terms)
    assert {item.part for item in items} == set(PARTS)
    assert len({(item.part, item.id) for item in items}) == len(items)
    assert sum(item.part == "situations" for item in items) == 2
    assert sum(item.part == "retest" for item in items) == 2 * 4 * (len(WRAPPERS) + 1)


def test_a_part_of_the_suite_is_spread_over_all_of_it() -> None:
    assert spread(range(10), 4) == (0, 2, 5, 7)
    assert spread(range(3), 9) == (0, 1, 2)
    injections = load_suite(SHIPPED, "held-out").injections
    kinds = {one.kind for one in injections}
    assert {one.kind for one in spread_over_kinds(injections, len(kinds))} == kinds


@pytest.mark.parametrize("split", SPLITS)
def test_each_technical_question_has_a_reference(split: Split) -> None:
    asked = {one.question for one in load_suite(SHIPPED, split).questions if one.phase == "TECHNICAL"}
    assert asked <= set(references())
