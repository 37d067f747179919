"""`python -m simulator.load URL`: open many streams at once and see how late their tokens are.

Tokens of a stream are due at equal distances; late is what comes after that, measured from the most punctual token of
the same stream. It is the delay of the server, of the loopback and of this client together.
"""

import argparse
import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

_PATIENCE = 4.0  # seconds for all streams to begin
_CHUNK = b'"logprobs":null,"finish_reason":null'


class _Stream(asyncio.Protocol):
    """One streamed chat; notes when each of its tokens came, less the time it was due after the first."""

    def __init__(self, request: bytes, interval: float) -> None:
        self._request = request
        self._interval = interval
        self.offsets: list[float] = []
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        for _ in range(data.count(_CHUNK)):
            self.offsets.append(now - len(self.offsets) * self._interval)
        if self.offsets and not self.begun.done():
            self.begun.set_result(None)

    def late(self, since: int) -> list[float]:
        """How late the tokens from number `since` on were, by the most punctual token of the stream."""
        best = min(self.offsets, default=0.0)
        return [offset - best for offset in self.offsets[since:]]


def _request(host: str, number: int, tokens: int) -> bytes:
    body = json.dumps(
        {
            "model": "load",
            "messages": [{"role": "user", "content": f"자기소개를 해 주세요. {number}"}],
            "max_tokens": tokens,
            "stream": True,
            "ignore_eos": True,
            "ebnf": "root ::= [가-힣 .]{600}",
        }
    ).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


async def measure(url: str, streams: int, tps: float, seconds: float) -> dict[str, float]:
    """Open the streams, wait until all of them talk, then watch for some seconds."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    clients = [_Stream(_request(parts.netloc, number, int(tps * 60)), 1 / tps) for number in range(streams)]
    started = time.perf_counter()
    transports = [
        (await loop.create_connection(lambda client=client: client, parts.hostname or "127.0.0.1", parts.port or 80))[0]
        for client in clients
    ]
    await asyncio.wait([client.begun for client in clients], timeout=_PATIENCE)
    opened = time.perf_counter()
    before = [len(client.offsets) for client in clients]
    await asyncio.sleep(seconds)
    took = time.perf_counter() - opened
    for transport in transports:
        transport.abort()
    late = sorted(value for client, since in zip(clients, before, strict=True) for value in client.late(since))
    return {
        "streams": streams,
        "all_talking_after_seconds": round(opened - started, 3),
        "chunks_per_second": round(len(late) / took, 1),
        "late_p50_ms": round(1000 * late[len(late) // 2], 2),
        "late_p99_ms": round(1000 * late[int(len(late) * 0.99)], 2),
        "late_max_ms": round(1000 * late[-1], 2),
    }


def main() -> int:
    """Parse the command line, measure, print one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m simulator.load")
    parser.add_argument("url")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tps", type=float, default=20.0, help="what the simulator was started with")
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    found = uvloop.run(measure(options.url, options.streams, options.tps, options.seconds))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
