"""API keys: what opens, what does not, and what is stored."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.api_keys import KeyRing, make_key
from app.errors import Unauthenticated
from app.schemas.keys import KeyRecord

KEY, RECORD = make_key("backend", ["tasks"])
RING = KeyRing([RECORD, make_key("other", ["chat"])[1]])
HEX = "0123456789abcdef"


def test_a_key_opens_what_its_record_says() -> None:
    assert RING.owner(KEY) == RECORD


def test_only_a_hash_of_256_random_bits_is_stored() -> None:
    assert KEY not in RECORD.model_dump_json()
    assert RECORD.hash == hashlib.sha256(KEY.encode()).hexdigest()
    assert len(KEY.split("_")[2]) == 64 + 8


@pytest.mark.parametrize("cut", range(len(KEY)))
def test_a_truncated_key_is_refused_as_not_whole(cut: int) -> None:
    with pytest.raises(Unauthenticated, match="not whole"):
        RING.owner(KEY[:cut])


CHANGED = {
    "upper case": KEY.upper(),
    "title case": KEY.title(),
    "a space before": f" {KEY}",
    "a space after": f"{KEY} ",
    "a digit more": KEY + "0",
    "a line end": KEY + "\n",
    "twice": KEY + KEY,
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
def test_a_key_in_another_case_or_with_more_around_it_is_refused(changed: str) -> None:
    with pytest.raises(Unauthenticated):
        RING.owner(changed)


@given(st.integers(0, len(KEY) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_key_with_one_other_character_is_refused(at: int, other: str) -> None:
    changed = KEY[:at] + other + KEY[at + 1 :]
    if changed != KEY:
        with pytest.raises(Unauthenticated):
            RING.owner(changed)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        RING.owner(text)


def test_neither_the_stored_hash_nor_the_id_opens_anything() -> None:
    for presented in (RECORD.hash, RECORD.id, f"llms_{RECORD.id}_{RECORD.hash}", f"llms_{RECORD.id}_{'0' * 72}"):
        with pytest.raises(Unauthenticated):
            RING.owner(presented)


def test_a_made_up_key_with_a_right_checksum_is_not_known() -> None:
    stranger, _ = make_key("stranger", ["tasks"])
    with pytest.raises(Unauthenticated, match="not known"):
        RING.owner(stranger)


def test_no_key_is_told_how_to_send_one() -> None:
    with pytest.raises(Unauthenticated, match="X-API-Key"):
        RING.owner(None)


@pytest.mark.parametrize("field", ["expires", "revoked"])
def test_a_key_that_has_ended_is_refused_and_its_holder_told_why(field: str) -> None:
    key, record = make_key("backend", ["tasks"], **{field: datetime.now(UTC) - timedelta(seconds=1)})
    with pytest.raises(Unauthenticated, match=field.removesuffix("s")):
        KeyRing([record]).owner(key)


def test_a_key_that_ends_later_opens_until_then() -> None:
    key, record = make_key("backend", ["tasks"], expires=datetime.now(UTC) + timedelta(hours=1))
    assert KeyRing([record]).owner(key) == record


def test_two_keys_of_one_name_are_both_good() -> None:
    pairs = [make_key("backend", ["tasks"]) for _ in range(2)]
    ring = KeyRing(record for _, record in pairs)
    assert [ring.owner(key).id for key, _ in pairs] == [record.id for _, record in pairs]


def test_a_record_survives_its_json() -> None:
    assert KeyRecord.model_validate_json(RECORD.model_dump_json()) == RECORD


def test_one_id_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        KeyRing([RECORD, RECORD])
