"""A text that runs in circles is noticed within 64 pieces; honest prose never is."""

import json
from itertools import cycle, islice
from random import Random

import pytest

from app.core.runaway import RunawayWatch

PIECES = 64
SENTENCES = (
    "가비지 컬렉션의 개념을 정확히 설명했습니다.",
    "다만 실제로 겪은 사례가 없어 아쉽습니다.",
    "힙과 스택의 차이를 예로 들었습니다.",
    "답변이 짧고 근거가 부족합니다.",
    "인덱스가 느려지는 경우를 잘 알고 있습니다.",
    "모른다고 솔직하게 말한 점은 좋습니다.",
)


def noticed(text: str, size: int = 4) -> int | None:
    """The number of the piece at which the watch calls out, if it does."""
    watch = RunawayWatch()
    for number in range(len(text) // size + 1):
        if watch.feed(text[number * size : (number + 1) * size]):
            return number
    return None


@pytest.mark.parametrize(
    "unit", [" ", "\n", "\t", "\\n", "ㅋ", "아 ", "정말 ", "좋습니다. ", SENTENCES[0], SENTENCES[4] + " 네."]
)
def test_a_loop_is_noticed_within_sixty_four_pieces(unit: str) -> None:
    loop = "".join(islice(cycle(unit), PIECES * 4))
    assert noticed(loop) is not None
    beginning = '{"feedback":"' + SENTENCES[1]
    at = noticed(beginning + loop)
    assert at is not None
    assert at <= len(beginning) / 4 + PIECES


def test_honest_reports_are_left_alone() -> None:
    random = Random(1)  # noqa: S311  repeatable, not secret
    for _ in range(200):
        report = [
            {"question": f"질문 {i}", "feedback": " ".join(random.sample(SENTENCES, 4)), "score": random.randint(0, 10)}
            for i in range(11)
        ]
        assert noticed(json.dumps(report, ensure_ascii=False, indent=1)) is None


@pytest.mark.parametrize(
    "text", ["-" * 20 + " 표 " + "-" * 20, "ㅋ" * 20 + " 네", "가 나 다 라 마 바 사 아 자 차 카 타 파 하"]
)
def test_short_rows_of_one_thing_are_left_alone(text: str) -> None:
    assert noticed(text) is None
