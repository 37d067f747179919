"""What is measured is what an answer says, not how sure or how long-winded it sounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tasks.judging.plainly import RULES, Rule, plainly
from tests.support.suite import graded

LONG = 5000


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("함수 호출이나 되돌리기 기능에 쓰는 것 같습니다.", "함수 호출이나 되돌리기 기능에 쓴다."),
        ("힙과 코드 영역은 스레드가 같이 쓰면 될 것 같아요.", "힙과 코드 영역은 스레드가 같이 쓰면 된다."),
        ("아마 알림이 두 번씩 고객에게 나갔던 걸로 기억합니다.", "알림이 두 번씩 고객에게 나갔다."),
        ("제가 틀릴 수도 있지만, 캐시는 원본보다 먼저 읽는 걸로 알고 있습니다.", "캐시는 원본보다 먼저 읽는다."),
        ("이미 공유한 갈래에서는 피하는 게 좋지 않을까 싶습니다.", "이미 공유한 갈래에서는 피하는 게 좋다."),
        ("격리 수준이라는 것을 높이면 일관성이 좋아진다고 볼 수 있겠습니다.", "격리 수준을 높이면 일관성이 좋아진다."),
        ("저는 협업에서 신뢰가 가장 중요하다고 믿습니다.", "저는 협업에서 신뢰가 가장 중요하다."),
        ("인덱스는 매우 중요한 개념입니다. 조회를 빠르게 합니다.", "조회를 빠르게 합니다."),
        ("역할이라는 것도 지휘와 조사로 나누어 두는 편입니다.", "역할도 지휘와 조사로 나누어 둔다."),
        ("네, 결론적으로 말씀드리자면 공유 자원에는 동기화가 필요합니다.", "공유 자원에는 동기화가 필요합니다."),
        ("좋은 질문 감사합니다. 큐는 먼저 넣은 것을 먼저 꺼냅니다.", "큐는 먼저 넣은 것을 먼저 꺼냅니다."),
        (
            "인덱스는 읽기를 빠르게 합니다. 이게 맞는 답인지는 잘 모르겠습니다.",
            "인덱스는 읽기를 빠르게 합니다.",
        ),
        ("Maybe a queue hands out first what came in first.", "a queue hands out first what came in first."),
    ],
)
def test_a_hedge_and_padding_leave_the_statement(said: str, meant: str) -> None:
    assert plainly(said) == meant


@pytest.mark.parametrize(
    "answer",
    [
        "가장 중요한 것은 원자성이라는 개념입니다.",  # weighs it, and names it
        "질문하면 무능해 보일까 봐 혼자 붙잡고 있던 후배가 있었습니다.",
        "검색 노출이 중요한 페이지인지를 먼저 봅니다.",
        "바로 팀에 알리고 되돌린 뒤 원인을 적었습니다.",
        "캐시가 왜 느려졌는지는 모르겠습니다만 지표는 보았습니다.",  # does not know a part of the matter, and says so
    ],
)
def test_content_stays(answer: str) -> None:
    assert plainly(answer) == answer


def test_an_answer_of_nothing_but_manner_is_judged_as_it_stands() -> None:
    assert plainly("네, 사실 아마, 정말 참 그렇습니다.") == "네, 사실 아마, 정말 참 그렇습니다."


def test_most_answers_are_plain_already() -> None:
    answers = [one.answer for one in graded("excellent", "solid", "thin", "wrong")]
    assert sum(plainly(answer) != answer for answer in answers) <= 0.2 * len(answers)


@given(st.text(max_size=200))
def test_any_text_has_a_plain_form(text: str) -> None:
    assert plainly(text) or not text


@pytest.mark.parametrize("piece", ["아마 ", "라는 것은 중요", "맞는지 ", "말씀을 ", "좋은 질문", "가", " "])
def test_the_longest_text_is_no_burden(piece: str) -> None:
    plainly((piece * LONG)[:LONG])


@given(st.one_of([st.tuples(st.just(rule), st.from_regex(rule.pattern)) for rule in RULES]))
@settings(max_examples=500)
def test_no_pattern_finds_anything_in_a_text_that_lacks_what_it_needs(found: tuple[Rule, str]) -> None:
    rule, text = found
    assert any(need in text.casefold() for need in rule.needs)
