"""Sentences: marked as they end, and the place to cut a text that is too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.sentences import SentenceSplitter, cut_at_sentence

prose = st.text(alphabet="가나 .?!…\"'3abc\n", max_size=80)


def sentences_of(pieces: list[str]) -> list[str]:
    """The sentences of a text that arrives like this."""
    splitter = SentenceSplitter()
    marked = [pair for piece in pieces for pair in splitter.feed(piece)] + splitter.close()
    assert "".join(text for text, _ in marked) == "".join(pieces)
    found = [""]
    for text, end in marked:
        found[-1] += text
        if end:
            found.append("")
    return [sentence.strip() for sentence in found if sentence.strip()]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("네. 좋습니다!", ["네.", "좋습니다!"]),
        ("3.5초입니다. 왜죠?", ["3.5초입니다.", "왜죠?"]),
        ("e.g. GC vs. 참조 카운팅. 끝", ["e.g. GC vs. 참조 카운팅.", "끝"]),
        ("1. 처음 2. 다음", ["1. 처음 2. 다음"]),
        ("그래요?! 그럼…", ["그래요?!", "그럼…"]),
        ("그는 '네.' 라고 했습니다.", ["그는 '네.'", "라고 했습니다."]),
        ("", []),
    ],
)
def test_sentences_are_told_apart_however_the_text_is_cut(text: str, sentences: list[str]) -> None:
    assert sentences_of([text]) == sentences
    assert sentences_of(list(text)) == sentences


@given(text=prose, limit=st.integers(1, 90))
def test_a_cut_text_fits_and_is_a_beginning(text: str, limit: int) -> None:
    cut = cut_at_sentence(text, limit)
    assert len(cut) <= limit
    assert text.strip().startswith(cut.removesuffix("…").rstrip())
    assert bool(cut) == bool(text.strip())


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("하나. 둘. 셋.", 20, "하나. 둘. 셋."),
        ("하나. 둘. 셋", 20, "하나. 둘."),
        ("하나. 둘. 셋.", 6, "하나. 둘."),
        ("아주 긴 문장이 계속", 8, "아주 긴…"),
        ("띄어쓰기가없는문장", 5, "띄어쓰기…"),
    ],
)
def test_a_text_is_cut_after_a_sentence_or_else_after_a_word(text: str, limit: int, cut: str) -> None:
    assert cut_at_sentence(text, limit) == cut.strip()
