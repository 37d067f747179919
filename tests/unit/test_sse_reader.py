from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.sse_reader import SseReader
from app.errors import EngineFailure

LIMIT = 1024 * 1024

# What engines send: one JSON text a line. White space around it means nothing.
payloads = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1).map(str.encode)
ends = st.sampled_from([b"\n", b"\r\n"])
skipped = st.sampled_from([b"", b": ping", b":", b"event: message", b"id: 7", b"retry: 10", b"data", b"nonsense"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream, and the data in it."""
    end = draw(ends)
    sent: list[bytes] = []
    data: list[bytes] = []
    for item in draw(st.lists(st.one_of(payloads.map(lambda p: (p,)), skipped))):
        if isinstance(item, tuple):
            data.append(item[0])
            sent.append(
                b"data:" + draw(st.sampled_from([b"", b" "])) + item[0] + end + draw(st.sampled_from([b"", end]))
            )
        else:
            sent.append(item + end)
    return b"".join(sent), data


def read(chunks: list[bytes]) -> list[bytes]:
    reader = SseReader()
    return [data for chunk in chunks for data in reader.feed(chunk)]


@given(streams(), st.lists(st.integers(min_value=0)))
def test_any_split_of_a_stream_gives_the_same_data(stream: tuple[bytes, list[bytes]], cuts: list[int]) -> None:
    sent, data = stream
    edges = [0, *sorted(cut % (len(sent) + 1) for cut in cuts), len(sent)]
    assert read([sent[start:end] for start, end in pairwise(edges)]) == data


@given(streams())
def test_byte_by_byte_gives_the_same_data(stream: tuple[bytes, list[bytes]]) -> None:
    sent, data = stream
    assert read([sent[i : i + 1] for i in range(len(sent))]) == data


def test_crlf_ends_a_line_too() -> None:
    assert read([b'data: {"a":1}\r\n\r', b'\ndata: {"a":2}\r\n\r\n']) == [b'{"a":1}', b'{"a":2}']


def test_comments_and_other_fields_are_skipped() -> None:
    assert read([b": ping\n\nevent: token\nid: 3\ndata: x\nretry: 5\n\n"]) == [b"x"]


def test_a_character_of_many_bytes_may_come_in_pieces() -> None:
    sent = "data: 가🎉\n\n".encode()
    for cut in range(len(sent)):
        assert read([sent[:cut], sent[cut:]]) == ["가🎉".encode()]


def test_an_event_is_handed_out_as_soon_as_its_line_ends() -> None:
    reader = SseReader()
    assert reader.feed(b"data: fir") == []
    assert reader.feed(b"st\n") == [b"first"]
    assert reader.feed(b"data: second") == []


def test_a_long_line_is_still_read() -> None:
    data = b"x" * (LIMIT - 100)
    assert read([b"data:" + data[:500_000], data[500_000:], b"\n"]) == [data]


def test_a_line_without_an_end_is_refused() -> None:
    reader = SseReader()
    reader.feed(b"data:" + b"x" * (LIMIT - 5))
    with pytest.raises(EngineFailure, match="too long"):
        reader.feed(b"x")
