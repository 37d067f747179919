"""The text of a stream is the same however it is cut and whichever way it is read: awaited, pumped, or collected."""

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from app.core.engine_events import decoded
from app.core.http_pool import HttpPool
from app.core.token_stream import TokenStream
from app.engines.profiles import SGLANG
from app.errors import EngineFailure, Overloaded
from tests.unit.scripted_server import Peer, scripted

pytestmark = pytest.mark.anyio

TEXTS = ["<b>", "안녕", '하세요 "따옴표"', "\\ 역슬래시\n줄", "", "😀", "\u0001끝"]


def chunked(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(delta: Any, finish: str | None = None, *, ascii_only: bool = False) -> bytes:
    """One event in SGLang's very bytes."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "matched_stop": None}
    body = {"id": "0af1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(body, ensure_ascii=ascii_only, separators=(",", ":")).encode()


def text(content: str, *, ascii_only: bool = False) -> bytes:
    """An event with nothing but text."""
    return event({"reasoning_content": None, "content": content}, ascii_only=ascii_only)


STOP = event({"reasoning_content": None}, "stop")


WAYS = {"awaited": None, "pumped": 0.0, "collected": 0.01}
"""How a stream is read: seconds between two looks at what has come, if it is pumped."""
every_way = pytest.mark.parametrize("every", WAYS.values(), ids=WAYS)


async def read(pool: HttpPool, pieces: Sequence[bytes], *, every: float | None) -> tuple[str, TokenStream]:
    """What a reader of these pieces gets."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *map(chunked, pieces), b"0\r\n\r\n")
        await peer.gone()

    said: list[bytes] = []

    def tell(texts: list[bytes]) -> bool:
        said.extend(texts)
        return True

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        tokens = TokenStream(response, SGLANG)
        await tokens.begin(10)
        while (texts := await tokens.literals()) is not None:
            said += texts
            if every is not None:
                await tokens.pump(tell, partial(float, every) if every else None)
        return "".join(map(decoded, said)), tokens


@every_way
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
async def test_a_text_is_whole_wherever_it_was_cut(
    pool: HttpPool, size: int, *, ascii_only: bool, every: float | None
) -> None:
    whole = b"".join([*(text(content, ascii_only=ascii_only) for content in TEXTS), STOP, b"data: [DONE]\n\n"])
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    said, tokens = await read(pool, pieces, every=every)
    assert said == "".join(TEXTS)
    assert tokens.finish == "stop"


@every_way
async def test_a_thought_is_not_passed_on(pool: HttpPool, *, every: float | None) -> None:
    pieces = [text("<thi"), text("nk>음"), text("</think>\n"), text("\n네"), text("."), STOP]
    assert (await read(pool, pieces, every=every))[0] == "네."


@every_way
async def test_bytes_that_are_no_text_are_not_passed_on(pool: HttpPool, *, every: float | None) -> None:
    with pytest.raises(EngineFailure):
        await read(pool, [text("네"), text("X").replace(b"X", b"\xff"), STOP], every=every)


@every_way
async def test_half_a_surrogate_pair_is_not_passed_on(pool: HttpPool, *, every: float | None) -> None:
    with pytest.raises(EngineFailure):
        await read(pool, [text("네"), text("X").replace(b"X", b"\\ud83d"), STOP], every=every)


@every_way
async def test_an_error_in_a_stream_is_raised_after_what_came_before_it(pool: HttpPool, *, every: float | None) -> None:
    error = b'data: {"error":{"object":"error","message":"The request queue is full.","code":503}}\n\n'
    with pytest.raises(Overloaded):
        await read(pool, [text("네"), text("."), error], every=every)


@every_way
async def test_a_stream_that_does_not_say_why_it_ended_failed(pool: HttpPool, *, every: float | None) -> None:
    with pytest.raises(EngineFailure):
        await read(pool, [text("네"), text("."), b"data: [DONE]\n\n"], every=every)


async def test_what_a_reader_refuses_is_kept_for_it(pool: HttpPool) -> None:
    goes_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunked(text("하나")))
        await goes_on.wait()
        await peer.say(chunked(text("둘")), chunked(text("셋")), chunked(STOP), b"0\r\n\r\n")
        await peer.gone()

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        tokens = TokenStream(response, SGLANG)
        await tokens.begin(10)
        said = await tokens.literals() or []
        goes_on.set()
        await tokens.pump(lambda _: False)
        while (texts := await tokens.literals()) is not None:
            said += texts
        assert "".join(map(decoded, said)) == "하나둘셋"


@pytest.mark.parametrize(("usual", "own"), [(0.05, None), (60, 0.05)], ids=["usual", "own"])
async def test_an_engine_that_falls_silent_is_left(pool: HttpPool, usual: float, own: float | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunked(text("네")))
        await peer.gone()

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        tokens = TokenStream(response, SGLANG)
        await tokens.begin(usual)
        tokens.watch(own)
        assert await tokens.literals() == ['"네"'.encode()]
        await tokens.pump(lambda _: True)
        with pytest.raises(EngineFailure, match="silent"):
            await tokens.literals()
        assert tokens.cut
