"""Words that praise a low score or blame a high one are found; words that fit, and words taken back, are not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.prompt_builder import LANGUAGES, Language
from app.tasks.feedback import CONTRACT, FeedbackAnswer, objection, own_words
from app.tasks.judging.agreement import FAIR, HIGH, LOW, contradiction, without_contradictions
from evals.scoring.wording import contradictions

PRAISE = (
    "핵심 개념을 매우 잘 설명했습니다.",
    "답변이 훌륭합니다.",
    "정확하게 설명하셨습니다.",
    "구체적으로 잘 짚었습니다.",
    "답변은 칭찬하지만 질문에 답이 되지 않았습니다.",
    "An excellent answer with examples.",
)
BLAME = (
    "설명이 매우 부족합니다.",
    "개념을 잘못 이해하고 있습니다.",
    "설명이 모호하고 근거도 없습니다.",
    "답변을 하지 않았습니다.",
    "대처를 설명하지 않고 원인을 분석하지 않았습니다.",
    "두 방식을 비교하지 않았습니다.",
    "The answer is wrong and short.",
)
MISSED = (
    "답변은 핵심을 벗어났거나 내용이 부족한 답변입니다.",
    "질문과 무관한 답변입니다.",
    "불성실한 답변입니다.",
    "The answer is off-topic.",
)
FITS_LOW = (
    "칭찬할 점을 찾기 어렵습니다.",
    "칭찬할 만한 내용이 없습니다.",
    "잘 설명했다고 보기 어렵습니다.",
    "핵심을 정확하게 설명하지 못했습니다.",
    "구체적인 사례를 들어 설명해야 합니다.",
    "개념을 잘 설명하려면 예가 필요합니다.",
    "질문에 답하지 않았습니다. 수집 과정을 말했어야 합니다.",
)
FITS_HIGH = (
    "틀린 내용은 없습니다.",
    "잘못된 설명이 없고 사례가 좋습니다.",
    "정확하고 사례도 구체적입니다.",
    "깊이가 부족하지 않았고, 정확한 내용을 제공했습니다.",
    "누락 없이 설명했으며 사례도 좋습니다.",
    "설명하지 않고 넘어간 부분이 없습니다.",
    "Explains red-black trees well.",
)


@pytest.mark.parametrize("text", PRAISE)
@pytest.mark.parametrize("score", range(11))
def test_praise_contradicts_low_scores_only(text: str, score: int) -> None:
    found = contradiction(text, score)
    assert (found is not None) == (score <= LOW)
    assert found is None or found in text


@pytest.mark.parametrize("text", BLAME)
@pytest.mark.parametrize("score", range(11))
def test_blame_contradicts_high_scores_only(text: str, score: int) -> None:
    found = contradiction(text, score)
    assert (found is not None) == (score >= HIGH)
    assert found is None or found in text


@pytest.mark.parametrize("text", MISSED)
@pytest.mark.parametrize("score", range(11))
def test_who_passes_has_not_missed_the_question(text: str, score: int) -> None:
    assert (contradiction(text, score) is not None) == (score >= FAIR)


@pytest.mark.parametrize(
    "text", ["핵심을 벗어나지 않은 답변입니다.", "깊이가 부족한 부분이 있습니다.", "조금 모호합니다."]
)
def test_a_passing_answer_may_lack_something(text: str) -> None:
    assert contradiction(text, FAIR) is None


@pytest.mark.parametrize("text", FITS_LOW)
def test_what_fits_a_low_score_is_no_contradiction(text: str) -> None:
    assert contradiction(text, 1) is None


@pytest.mark.parametrize("text", FITS_HIGH)
def test_what_fits_a_high_score_is_no_contradiction(text: str) -> None:
    assert contradiction(text, 9) is None


@pytest.mark.parametrize(
    "text",
    [
        "이 답변은 5점입니다.",
        "이 답변의 점수는 5점으로 정해졌습니다.",
        "답변의 내용과 점수를 맞추지 않으면 점수가 5으로 줄어듭니다.",
        "질문에 대한 답이 없기 때문에 점수를 5점으로 줍니다.",
        "10점 만점에 5점입니다.",
        "사례가 있어 5점을 드립니다.",
        "This answer gets a score of 5.",
        "The answer scored 5 of 10.",
    ],
)
@pytest.mark.parametrize("score", [4, 5, 6, 7])
def test_another_number_than_the_score_contradicts_it(text: str, score: int) -> None:
    assert bool(contradiction(text, score)) == bool(contradictions(text, score)) == (score != 5)


@pytest.mark.parametrize(
    "text",
    [
        "고객 만족도를 3점에서 5점으로 올린 과정을 설명했습니다.",
        "성능 점수를 2점에서 9점으로 올렸습니다.",
        "지연을 3.5초로 줄인 점을 짚었습니다.",
        "10점 만점에 가까운 만족도를 얻은 경험이 있습니다.",
        "한 점을 더 설명하면 좋습니다.",
    ],
)
def test_numbers_of_which_the_candidate_tells_are_no_score(text: str) -> None:
    assert contradiction(text, 7) is None


def test_words_taken_back_do_not_hide_other_words_that_stand() -> None:
    assert contradiction("틀린 내용은 없습니다. 다만 근거가 매우 부족합니다.", 9)


@given(st.text(), st.integers(0, 10))
def test_any_text_can_be_checked(text: str, score: int) -> None:
    found = contradiction(text, score)
    assert found is None or found in text


@pytest.mark.parametrize("piece", ["매우 잘 ", "정확하게 ", "틀린 내용 ", "답변이 많이 ", "가", " ", "wrong "])
def test_a_very_long_text_takes_no_long_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    contradiction(text, 0)
    contradiction(text, 10)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "blame",
    [
        "구체적인 방법을 제안하는 부분이 부족합니다.",
        "이 점은 적절히 설명하지 않았습니다.",
        "추가적인 정보를 제공하지 않았습니다.",
        "마지막 사례가 조금 아쉽습니다.",
        "그러나 내부 구현이 바뀌어도 테스트가 깨지지 않는다는 점을 강조하지 않았습니다.",
        "실패했을 때를 다루지 못했습니다.",
        "하지만 질문과 관련없는 부분이 있습니다.",
    ],
)
def test_blame_of_a_part_does_not_go_with_a_high_score(blame: str) -> None:
    assert contradiction(f"답변은 깊이가 있습니다. {blame}", 8)
    assert contradiction(blame, 7) is None
    assert without_contradictions(f"답변은 깊이가 있습니다. {blame}", 8) == "답변은 깊이가 있습니다."


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("score", range(11))
def test_what_stands_in_the_place_of_a_contradiction_is_none_itself(score: int, language: Language) -> None:
    said = " ".join((*PRAISE, *BLAME, *MISSED))
    kept, repaired = own_words(said, score, (), language)
    assert contradiction(kept, score) is None
    assert contradictions(kept, score) == []
    assert len(kept) >= 10
    assert bool(repaired) == (contradiction(said, score) is not None)


@pytest.mark.parametrize("contract", [CONTRACT.ko, CONTRACT.en], ids=LANGUAGES)
@pytest.mark.parametrize("score", range(11))
def test_nothing_is_asked_for_that_would_contradict_the_score(score: int, contract: str) -> None:
    assert contradiction(contract, score) is None


@pytest.mark.parametrize(
    "blame",
    [
        "답변은 기본적인 내용과 깊이가 부족합니다.",
        "답변은 깊이와 구체적인 내용을 제공하지 않았습니다. 질문에 대한 답변이 부족합니다.",
        "The answer lacks depth.",
    ],
)
def test_of_a_good_answer_more_is_told_than_what_it_lacks(blame: str) -> None:
    language: Language = "en" if blame.isascii() else "ko"
    kept, repaired = own_words(blame, 7, (), language)
    assert contradiction(kept, HIGH) is None
    assert repaired == ["feedback: it contradicts the score; a prepared sentence stands in its place"]
    assert own_words(blame, 6, (), language) == (blame, [])
    partly = f"{blame} {FITS_HIGH[2]}"
    assert own_words(partly, 7, (), language) == (partly, [])


@pytest.mark.parametrize(
    "both",
    [
        "답변은 구체적인 내용을 제공했지만, 질문에 대한 답변이 부족합니다.",
        "핵심을 짚었으나 근거가 부족합니다.",
        "This answer names the main idea and explains it well, but it lacks any example from real work.",
    ],
)
def test_a_sentence_that_praises_and_blames_tells_enough_of_a_good_answer(both: str) -> None:
    assert own_words(both, 7, (), "en" if both.isascii() else "ko") == (both, [])


def test_a_good_answer_of_which_only_blame_is_told_is_asked_about_once_more() -> None:
    def objected(feedback: str, score: int) -> bool:
        answer = FeedbackAnswer(score=score, feedback=feedback, improvement_suggestion=None)
        return objection(answer, (), "ko") is not None

    blame = "답변은 기본적인 내용과 깊이가 부족합니다."
    assert objected(blame, 7)
    assert not objected(blame, 6)
    assert not objected(f"{blame} {FITS_HIGH[2]}", 7)


def test_a_sentence_with_a_decimal_goes_whole() -> None:
    said = "3.5초를 0.4초로 줄였지만 설명이 매우 부족합니다. 답변은 깊이가 있습니다."
    assert without_contradictions(said, 8) == "답변은 깊이가 있습니다."
