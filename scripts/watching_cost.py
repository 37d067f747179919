"""What metrics and logs cost: CPU of the service per chat request, on and off in turn, on a simulated engine.

    python scripts/watching_cost.py [--requests 3000] [--rounds 5]

Both services run all the time and take turns, so that a busy machine hits both alike. Time of the service's threads on
a CPU is counted, nothing of the client or the engine; the cost is the median over the rounds of on less off.
"""

import argparse
import asyncio
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from chaos.stage import Engine, Service  # noqa: E402  found beside this folder

_BODY = json.dumps({"messages": [{"role": "user", "content": "인사해 주세요."}], "max_tokens": 16}).encode()
_SIDE_BY_SIDE = 8
_OFF = {"METRICS": "false", "LOG_LEVEL": "WARNING"}
_ON = {"METRICS": "true", "LOG_LEVEL": "INFO"}


def _seconds(pid: int) -> float:
    """On a CPU so far, all threads."""
    times = (task.joinpath("schedstat").read_text().split()[0] for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(map(int, times)) / 1e9


async def _client(port: int, count: int) -> None:
    """One kept-alive connection, so that what is measured is requests and not connections."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = (
        f"POST /api/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(_BODY)}\r\n\r\n"
    ).encode() + _BODY
    for _ in range(count):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode("latin-1"))
    writer.close()


async def _cost(service: Service, requests: int) -> float:
    """Microseconds of CPU per request."""
    before = _seconds(service.pid)
    await asyncio.gather(*(_client(service.port, requests // _SIDE_BY_SIDE) for _ in range(_SIDE_BY_SIDE)))
    return (_seconds(service.pid) - before) / requests * 1e6


async def _run(requests: int, rounds: int) -> None:
    engine = Engine(slots=64, ttft=0, tps=0, typical_chars=20)
    services = {"off": Service(engine.port, **_OFF), "on": Service(engine.port, **_ON)}
    await engine.start()
    try:
        for service in services.values():
            await service.start()
            await _cost(service, requests // 4)  # warm
        found: dict[str, list[float]] = {name: [] for name in services}
        for _ in range(rounds):
            for name, service in services.items():
                found[name].append(await _cost(service, requests))
    finally:
        for service in services.values():
            await service.stop()
        await engine.kill()
    off = statistics.median(found["off"])
    more = statistics.median(on - off for on, off in zip(found["on"], found["off"], strict=True))
    for name, values in found.items():
        print(f"{name:4} {statistics.median(values):7.1f} us  of {', '.join(f'{value:.1f}' for value in values)}")
    print(f"metrics and logs cost {more:.1f} us, {100 * more / off:.1f} % of a chat request")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(_run(options.requests, options.rounds))


if __name__ == "__main__":
    main()
