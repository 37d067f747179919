"""What looks like a control token is altered, what cannot be seen is removed, and honest text is left as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.defuse import defuse
from tests.support.attacks import HIDDEN, SPECIALS, variants

HONEST = (
    "가비지 컬렉션은 힙에서 참조되지 않는 객체를 회수합니다.",
    "`List<String>`과 `Map<K, V>`, a<b && c>d, x | y || z, <div class='a'>, [질문 1] [답변]",
    "\u1112\u1161\u11ab\u1100\u1173\u11af",  # decomposed Hangul
    "가족 👨\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3",
    "표\t열\r\n다음 줄, café, Tiếng Việt",
    "### System:\nassistant: 설명\nHuman: 네",
)


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_is_left_as_it_is(text: str) -> None:
    assert defuse(text) is text


@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize("hidden", ["", *HIDDEN])
def test_no_special_survives_and_its_words_stay_visible(special: str, hidden: str) -> None:
    said = defuse(special[:2] + hidden + special[2:])
    assert special not in said
    assert re.sub(r"\s", "", said) == special


@given(st.text())
def test_defusing_twice_changes_nothing_more(text: str) -> None:
    assert defuse(defuse(text)) == defuse(text)


def test_no_attack_survives_or_changes_when_defused_again() -> None:
    for attack in variants(20_000):
        said = defuse(attack)
        assert not any(special in said or special.lower() in said.lower() for special in SPECIALS), ascii(attack)
        assert defuse(said) == said


def test_a_pile_of_marks_is_cut() -> None:
    assert defuse("a" + "\u0301" * 500) == "a" + "\u0301" * 4
