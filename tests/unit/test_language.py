"""The language of a prompt decides the language of its answer."""

import unicodedata

import pytest

from app.core.prompt_builder import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("자바의 가비지 컬렉션을 설명해 주세요.", "ko"),
        ("Spring Boot JPA N+1 fetch join 문제를 설명해 주세요.", "ko"),
        ("Please explain garbage collection in Java.", "en"),
        ("Please explain the Korean word 정 and its many meanings in everyday life and work.", "en"),
        ("", "en"),
    ],
)
def test_prose_with_some_hangul_is_korean(text: str, language: str) -> None:
    assert language_of(text) == language


def test_decomposed_hangul_is_korean_too() -> None:
    assert language_of(unicodedata.normalize("NFD", "자바의 가비지 컬렉션")) == "ko"
