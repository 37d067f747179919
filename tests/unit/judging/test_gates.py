"""What is no answer is stopped before the model; whatever holds an answer is not."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tasks.judging.gates import EVASIONS, gate, may_evade
from tests.support.suite import GradedAnswer, graded, variants

QUESTION = "자바의 가비지 컬렉션을 설명해 주세요."
LONG = 100_000


def name_of(answer: str, question: str = QUESTION) -> str | None:
    """The gate that stops ``answer``."""
    found = gate(question, answer)
    return found.name if found else None


def label(one: GradedAnswer) -> str:
    return f"{one.id}-{one.kind}"


@pytest.mark.parametrize("one", [one for one in graded("dont_know") if one.split == "tune"], ids=label)
def test_who_does_not_know_is_stopped(one: GradedAnswer) -> None:
    found = gate(one.question, one.answer)
    assert found is not None
    assert found.name != "unscorable"
    assert found.score == 1


def test_most_of_those_whose_words_were_never_looked_at_are_stopped_too() -> None:
    unseen = [one for one in graded("dont_know") if one.split == "held-out"]
    stopped = [one for one in unseen if gate(one.question, one.answer) is not None]
    assert len(stopped) >= 0.8 * len(unseen)  # the rest is measured: the patterns are not tuned to this half


@pytest.mark.parametrize("one", graded("excellent", "solid", "thin", "wrong"), ids=label)
def test_an_answer_however_short_or_wrong_is_read(one: GradedAnswer) -> None:
    assert gate(one.question, one.answer) is None


@pytest.mark.parametrize(("question", "answer"), variants("padded", "hedged", "dialect", "stt_noise"))
def test_an_answer_in_another_manner_of_speaking_is_read(question: str, answer: str) -> None:
    assert gate(question, answer) is None


@pytest.mark.parametrize(
    "answer",
    [
        "시청해 주셔서 감사합니다.",
        "MBC 뉴스 이덕영입니다.",
        "구독과 좋아요 부탁드립니다. 다음 영상에서 만나요.",
        "자막 제공 배달의민족",
        "Thanks for watching!",
        "[음악]",
        "[침묵] [잡음]",
        "(inaudible)",
        "\ufffd\ufffd\ufffd\ufffd",
        "네 네 네 네 네 네 네 네 네 네",
        "그래서 이제 그래서 이제 그래서 이제 그래서 이제 그래서 이제",
        "음 어 그 음 어",
    ],
)
def test_what_speech_recognition_writes_into_silence_is_unscorable_and_not_bad(answer: str) -> None:
    found = gate(QUESTION, answer)
    assert found is not None
    assert (found.name, found.score) == ("unscorable", None)


@pytest.mark.parametrize(
    "answer",
    ["ㅁㄴㅇㄹ", "ㅋㅋㅋㅋ", "ㅎㅎ", "ㅠㅠㅠㅠ", "...", "?!?!", "123123", "sdfghjkl", "ㅏㅏㅏㅏ", "🙂🙂", "하하하하"],
)
def test_keys_that_were_mashed_are_noise(answer: str) -> None:
    found = gate(QUESTION, answer)
    assert found is not None
    assert (found.name, found.score) == ("noise", 1)


@pytest.mark.parametrize("answer", ["", " ", "\n\t  "])
def test_nothing_is_empty(answer: str) -> None:
    assert name_of(answer) == "empty"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("객체", "one_word"),
        ("메모리회수", "one_word"),
        ("자동 회수", "too_short"),
        ("자바의 가비지 컬렉션을 설명해 주세요.", "repeats_question"),
        ("자바의 가비지 컬렉션을 설명하라고요?", "repeats_question"),
        ("패스", "evasion"),
        ("패스할게요.", "evasion"),
        ("다음 질문으로 넘어가 주세요.", "evasion"),
        ("I don't know.", "evasion"),
        ("pass", "evasion"),
        (
            "네, 좋은 질문 감사합니다. 죄송하지만 그 부분은 아직 공부하지 못했습니다. 다음에는 꼭 준비해 오겠습니다.",
            "evasion",
        ),
    ],
)
def test_each_kind_of_no_answer_has_its_name(answer: str, expected: str) -> None:
    assert name_of(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "처음에는 몰랐지만 힙을 덤프해 보고 참조가 남아 있다는 것을 알았습니다.",
        "정확히는 모르겠지만 참조되지 않는 객체를 찾아서 메모리를 돌려주는 기능으로 알고 있습니다.",
        "자신은 없지만 Young 영역과 Old 영역을 나누어 회수한다고 생각합니다.",
        "그 프로젝트를 하기 전에는 경험이 없었지만, 석 달 동안 힙 크기를 조정하며 멈춤 시간을 절반으로 줄였습니다.",
        "An unreachable object is freed by the collector; I do not know the details of ZGC.",
    ],
)
def test_an_answer_that_admits_a_gap_is_an_answer(answer: str) -> None:
    assert name_of(answer) is None


@given(st.text(), st.text())
def test_any_text_passes_or_has_a_score(question: str, answer: str) -> None:
    found = gate(question, answer)
    assert found is None or found.score is None or 0 <= found.score <= 10
    assert gate(question, answer) == found


@given(
    st.lists(
        st.sampled_from(["모르", "겠", "잘", " ", "음", "[음악]", "경험이 없", ".", "\n", "네", "ㅋ", "a"]), max_size=40
    )
)
def test_any_pile_of_evasive_words_passes_or_has_a_score(parts: list[str]) -> None:
    found = gate(QUESTION, "".join(parts))
    assert found is None or found.score in {None, 1}


@pytest.mark.parametrize(
    "piece",
    [
        "모르",
        "모르겠습니다 ",
        "답변을 드리기 ",
        "음 ",
        "네 그 ",
        "경험이 ",
        "가나다 ",
        "a",
        "ㅋ",
        " ",
        "\n",
        "[음악]",
        "가",
        "답을 ",
    ],
)
def test_a_very_long_answer_takes_no_long_time(piece: str) -> None:
    text = piece * (LONG // len(piece))
    started = time.process_time()
    gate(QUESTION, text)
    assert time.process_time() - started < 2


@given(st.from_regex(EVASIONS))
@settings(max_examples=2000)
def test_no_evasion_lacks_what_it_is_looked_for_by(answer: str) -> None:
    assert may_evade(answer)
