"""Thinking is dropped at the beginning of an answer, however it is cut, and nowhere else."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.thinking import ThoughtFilter


def answer_of(pieces: list[str]) -> str:
    """What is left of a text that arrives like this."""
    thoughts = ThoughtFilter()
    return "".join([*map(thoughts.feed, pieces), thoughts.close()])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>음</think>\n\n네.", "네."),
        ("\n<think>\n\n</think>\n\n{}", "{}"),
        ("<think>끝나지 않는 생각", ""),
        ("네, <think>는 태그입니다.", "네, <think>는 태그입니다."),
        ("<thin", "<thin"),
        ("<b>굵게</b>", "<b>굵게</b>"),
        ("  들여쓰기", "  들여쓰기"),
        ("", ""),
    ],
)
@given(cuts=st.sets(st.integers(1, 20)))
def test_only_a_leading_thought_is_dropped(text: str, answer: str, cuts: set[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    assert answer_of([text[a:b] for a, b in pairwise(edges)]) == answer
