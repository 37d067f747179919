"""Line 4: hostile clients of each kind beside honest ones; what the honest ones notice, and what it costs in memory."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from chaos.client import call
from chaos.stage import Service, stage
from chaos.verdict import Verdict, percentile
from fuzz.bodies import MODEL, good_body

_FEEDBACK = "/api/feedback"
_RATE = 20.0  # honest requests a second
_SLOW = 200  # connections that send a byte a second
_IDLE = 5_000
_BAR = 1.1  # of the honest clients' p99 without abuse
_MEGABYTE = 1 << 20
_MOST_GROWTH = 200  # megabytes
_GIGABYTE = 1 << 30

Abuser = Callable[[int, asyncio.Event], Coroutine[None, None, None]]


async def abuse(seed: int, first: int, count: int) -> Verdict:
    """Each kind of abuse for ``count`` seconds, between two quiet spells of the same length."""
    del seed, first
    verdict = Verdict()
    kinds: dict[str, Abuser] = {
        "slowloris": _slowloris,
        f"{_IDLE} idle connections": _idle,
        "bodies of 1 GB": _huge,
        "compressed bombs": _bombs,
        "arrays of a million items": _wide,
        "JSON 100,000 deep": _deep,
    }
    settings = {"MODEL_NAME": MODEL, "LOG_LEVEL": "ERROR", "MAX_CONNECTIONS": 8192, "RETRY_GRACE_SECONDS": 0}
    async with stage({"slots": 64, "ttft": 0.02, "tps": 2000, "typical_chars": 20}, settings) as (_, service):
        await _honest(service, 2.0)
        for name, abuser in kinds.items():
            await _one(verdict, service, name, abuser, count)
    return verdict


async def _one(verdict: Verdict, service: Service, name: str, abuser: Abuser, seconds: int) -> None:
    before = await _honest(service, seconds)
    held = (await service.figures())["rss"]
    over = asyncio.Event()
    attack = asyncio.create_task(abuser(service.port, over))
    await asyncio.sleep(1.0)
    under = await _honest(service, seconds)
    grown = ((await service.figures())["rss"] - held) / _MEGABYTE
    over.set()
    await attack
    after = await _honest(service, seconds)
    quiet = percentile([*before[0], *after[0]], 0.99)
    ratio = percentile(under[0], 0.99) / quiet
    figure = f"{quiet * 1000:.1f} -> {percentile(under[0], 0.99) * 1000:.1f} ms of {len(under[0])}"
    median = f"{percentile(before[0], 0.5) * 1000:.1f} -> {percentile(under[0], 0.5) * 1000:.1f} ms"
    verdict.note(f"{name}: median of honest clients", median)
    verdict.note(f"{name}: p99 of honest clients", figure)
    verdict.at_most(f"{name}: p99, times the quiet one", ratio, _BAR)
    verdict.none(f"{name}: honest requests that failed", [*before[1], *under[1], *after[1]])
    verdict.at_most(f"{name}: memory more than before", grown, _MOST_GROWTH, " MB")
    print(f"abuse: {name}: {figure}", flush=True)


async def _honest(service: Service, seconds: float) -> tuple[list[float], list[str]]:
    """Requests at a steady rate: their seconds, and those that failed."""
    times: list[float] = []
    failed: list[str] = []

    async def one(number: int) -> None:
        body = json.dumps(good_body(_FEEDBACK, f"{number}번째 답변입니다.")).encode()
        answer = await call(service.port, _FEEDBACK, body)
        times.append(answer.seconds)
        if not answer.good:
            failed.append(f"{answer.status} {answer.trouble}")

    tasks: list[asyncio.Task[None]] = []
    started = time.monotonic()
    for number in range(int(seconds * _RATE)):
        await asyncio.sleep(max(0.0, started + number / _RATE - time.monotonic()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return times, failed


def _head(length: int, *more: str) -> bytes:
    lines = ("POST /api/feedback HTTP/1.1", "host: x", "content-type: application/json", f"content-length: {length}")
    return "\r\n".join([*lines, *more]).encode() + b"\r\n\r\n"


async def _slowloris(port: int, over: asyncio.Event) -> None:
    """Headers, and then bodies, a byte a second."""

    async def one(number: int) -> None:
        while not over.is_set():
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                drip = b"POST /api/feedback HTTP/1.1\r\nx-" if number % 2 else _head(1000)
                try:
                    writer.write(drip)
                    while not over.is_set() and not writer.is_closing():
                        writer.write(b"a")
                        await asyncio.sleep(1.0)
                finally:
                    writer.close()

    await asyncio.gather(*(one(number) for number in range(_SLOW)))


async def _idle(port: int, over: asyncio.Event) -> None:
    """Connections that say nothing."""
    writers: list[asyncio.StreamWriter] = []
    for _ in range(_IDLE):
        with suppress(OSError):
            writers.append((await asyncio.open_connection("127.0.0.1", port))[1])
    await over.wait()
    for writer in writers:
        writer.close()


async def _send(port: int, over: asyncio.Event, head: bytes, body: bytes, times: int, pause: float) -> None:
    """``head`` and then ``body`` so many times, again and again, as far as the service reads."""
    while not over.is_set():
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(head)
                async with asyncio.timeout(5):
                    for _ in range(times):
                        if over.is_set() or reader.at_eof() or writer.is_closing():
                            break
                        writer.write(body)
                        await writer.drain()
                    await reader.read(100)
            finally:
                writer.transport.abort()
        await asyncio.sleep(pause)


async def _huge(port: int, over: asyncio.Event) -> None:
    """1 GB, declared and not."""
    piece, chunk = b"a" * 65_536, b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    times = _GIGABYTE // len(piece)
    hidden = _head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
    await asyncio.gather(
        _send(port, over, _head(_GIGABYTE), piece, times, 0.2), _send(port, over, hidden, chunk, times, 0.2)
    )


async def _bombs(port: int, over: asyncio.Event) -> None:
    """A gigabyte of blanks in a megabyte of gzip."""
    bomb = gzip.compress(b" " * (_GIGABYTE // 4))
    await _send(port, over, _head(len(bomb), "content-encoding: gzip"), bomb, 1, 0.1)


async def _wide(port: int, over: asyncio.Event) -> None:
    """A million items, which is two megabytes, and the half million that fit the limit."""
    bodies = [b'{"messages":[' + b"1," * items + b"1]}" for items in (1_000_000, 500_000)]
    await asyncio.gather(*(_send(port, over, _head(len(body)), body, 1, 0.5) for body in bodies))


async def _deep(port: int, over: asyncio.Event) -> None:
    """Brackets in brackets."""
    body = b'{"user_prompt":' + b"[" * 100_000
    await _send(port, over, _head(len(body)), body, 1, 0.1)
