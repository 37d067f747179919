"""What callers say is held no longer than it is needed."""

import asyncio
import json
import weakref

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from app.core.generation import Generation, Message, Priority
from app.engines.base import Address
from app.telemetry.metrics import Metrics
from app.telemetry.observer import Observer
from app.telemetry.record import RequestRecord
from tests.unit.rulings import slot_at
from tests.unit.scripted_server import Peer, scripted
from tests.unit.visitors import everybody_waits

pytestmark = pytest.mark.anyio


class Words(str):
    """A text of which can be seen whether anybody still has it."""

    __slots__ = ("__weakref__",)


def event(delta: dict[str, str], finish: str | None) -> bytes:
    """One chunk of an answer, as the engine sends it."""
    usage = {"prompt_tokens": 9, "completion_tokens": 1} if finish else None
    body = {"choices": [{"delta": delta, "finish_reason": finish}], "usage": usage}
    data = f"data: {json.dumps(body)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


async def answers_in_two_halves(peer: Peer) -> None:
    """An engine."""
    while await peer.request():
        await peer.say(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            event({"content": "안녕"}, None),
            event({"content": "하세요"}, "stop") + b"0\r\n\r\n",
        )


@pytest.mark.parametrize(("priority", "kept"), [(Priority.CHAT, False), (Priority.FEEDBACK, True)])
async def test_the_words_of_a_chat_are_not_kept_while_it_is_answered(priority: Priority, *, kept: bool) -> None:
    """Those of a task are: its decision record tells their digest."""
    RequestRecord("0" * 32, "/", "/", "").enter()
    words = Words("저는 백엔드 개발자입니다.")
    seen = weakref.ref(words)
    with fail_after(30):
        async with scripted(answers_in_two_halves) as server:
            async with slot_at(Address(*server.address)) as slot:
                stream = slot.stream(Generation((Message("user", words),), 16, priority=priority))
                del words
                async with stream as tokens:
                    first = await tokens.literals()
                    assert first
                    assert (seen() is not None) is kept
                    while await tokens.literals() is not None:
                        pass
            await server.ended.wait()
            await everybody_waits()


async def served(observer: Observer, words: str) -> None:
    """One request, from its arrival to its end."""
    record = observer.begin("/api/feedback", ())
    record.end(record.begin(Generation((Message("user", words),), 16), streamed=True))
    observer.end(record, "")


async def test_the_words_of_the_last_request_are_let_go_though_no_other_comes() -> None:
    observer = Observer(metrics=Metrics("1.0"))
    words = Words("저는 백엔드 개발자입니다.")
    seen = weakref.ref(words)
    with fail_after(30):
        request = asyncio.create_task(served(observer, words))
        del words
        await request
        del request
        watching = asyncio.create_task(observer.watch_loop())
        while seen() is not None:
            await checkpoint()
        watching.cancel()
