"""An object in pieces: wherever it is cut, the events add up to exactly what the whole text says."""

import codecs
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.partial_json import Delta, Done, PartialEvent, PartialJson

REPORTS = 1000
WORDS = ("개념을", "정확히", "설명했습니다.", "😀", "GC", "3.5초", "역할을", "나누어", "…", "“인용”", "더", "깊이")

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
objects = st.dictionaries(st.text(), values)


def follow(path: tuple[str | int, ...], value: Any) -> Any:
    """The value at ``path``."""
    for step in path:
        value = value[step]
    return value


class Listener:
    """Collects what the events say."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str | int, ...], str] = {}
        self.done: dict[tuple[str | int, ...], Any] = {}

    def hear(self, events: list[PartialEvent]) -> None:
        """Add up more events."""
        for event in events:
            match event:
                case Delta(path, text):
                    assert text
                    self.texts[path] = self.texts.get(path, "") + text
                case Done(path, value):
                    assert path not in self.done
                    self.done[path] = value

    def agrees_with(self, value: Any) -> None:
        """Check everything heard against the whole value."""
        for path, text in self.texts.items():
            assert text == follow(path, value)
        for path, item in self.done.items():
            assert item == follow(path, value)


@given(value=objects, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]), sizes=st.lists(st.integers(1, 7)))
def test_pieces_add_up_to_the_object(
    *, value: dict[str, Any], ascii_only: bool, indent: int | None, sizes: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    reader, listener, at = PartialJson(), Listener(), 0
    while at < len(text):
        size = sizes[at % len(sizes)] if sizes else 3
        listener.hear(reader.feed(text[at : at + size]))
        at += size
    assert reader.complete
    assert reader.value == json.loads(text)
    listener.agrees_with(reader.value)


def some_report(random: Random) -> dict[str, Any]:
    """A report as a model writes it, Korean, with emoji and quotes now and then."""

    def prose() -> str:
        return " ".join(random.choices(WORDS, k=random.randint(1, 6)))

    return {
        "question_feedbacks": [
            {"question": prose(), "answer_summary": prose(), "feedback": prose(), "score": random.randint(0, 10)}
            for _ in range(random.randint(1, 3))
        ],
        "summary": prose(),
        **{name: [prose() for _ in range(random.randint(0, 2))] for name in ("strengths", "improvements")},
    }


def test_every_byte_prefix_of_a_thousand_reports_is_read_and_the_deltas_are_the_text() -> None:
    random = Random(4)  # noqa: S311  repeatable, not secret
    for number in range(REPORTS):
        report = some_report(random)
        decoder = codecs.getincrementaldecoder("utf-8")()
        reader, listener = PartialJson(), Listener()
        for byte in json.dumps(report, ensure_ascii=number % 2 == 0, separators=(",", ":")).encode():
            listener.hear(reader.feed(decoder.decode(bytes([byte]))))
            if byte % 16 == 0:
                assert set(reader.value) <= set(report)
        assert reader.value == report
        listener.agrees_with(report)
        assert set(listener.texts) == {path for path, value in listener.done.items() if isinstance(value, str)}


@pytest.mark.parametrize(
    "text",
    [
        *("x", "[1]", '"a"', "{,", "{1", '{"a",', '{"a":,', '{"a":}', '{"a":1,}', '{"a":[1,]', '{"a":[,', '{"a":1]'),
        *('{"a":tru ', '{"a":1 2', '{"a":"\\x', '{"a":"\n', '{"a":"\\u12G4', "{}x", '{"' + "a" * 300, '{"a":01,'),
    ],
)
def test_what_is_not_the_beginning_of_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON at character"):
        PartialJson().feed(text)


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    reader = PartialJson()
    reader.feed('{"a":"\\ud800","b":"\\udc00x","c":"\\ud83d\\ude00"}')
    assert reader.value == {"a": "\ufffd", "b": "\ufffdx", "c": "😀"}


def test_an_open_text_is_known_with_its_place_and_length() -> None:
    reader = PartialJson()
    reader.feed('{"a":[{"b":1},{"c":"가나')
    assert (reader.open_path, reader.open_length, reader.open_field) == (("a", 1, "c"), 2, "a")
    assert reader.value == {"a": [{"b": 1}, {"c": "가나"}]}
    reader.feed('다"}],')
    assert (reader.open_path, reader.open_field) == (None, None)
