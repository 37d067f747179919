"""Line 5: instances are ended and started again behind a plain proxy, under load."""

import asyncio
import contextlib
import itertools
import signal
from contextlib import AsyncExitStack

from chaos.load import CHAT, FEEDBACK, STEP, Load
from chaos.stage import Engine, Service
from chaos.verdict import Verdict

_CHECK_EVERY = 0.1
_DELAY = 0.5  # seconds that an instance still takes requests; the proxy has looked at it five times by then
_SETTINGS = {"DRAIN_DELAY": _DELAY, "DRAIN_LIMIT": 20}


class Balancer:
    """Sends each connection to one of the instances that were ready when last looked at."""

    def __init__(self, services: list[Service]) -> None:
        self.port = 0
        self._services = services
        self._ready: list[Service] = list(services)
        self._turn = itertools.count()

    async def check(self) -> None:
        """Look at the instances until cancelled."""
        while True:
            found = await asyncio.gather(*(service.is_ready() for service in self._services))
            self._ready = [service for service, ready in zip(self._services, found, strict=True) if ready]
            await asyncio.sleep(_CHECK_EVERY)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        ready = self._ready or self._services
        target = ready[next(self._turn) % len(ready)]
        with contextlib.suppress(OSError):
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", target.port)
            ways = [asyncio.create_task(_pipe(reader, back_writer)), asyncio.create_task(_pipe(back_reader, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            back_writer.close()
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def drains(seed: int, *, short: bool) -> Verdict:
    """SIGTERM to one of two instances, again and again."""
    verdict = Verdict()
    times = 4 if short else 50
    statuses: list[int] = []
    async with AsyncExitStack() as stack:
        engine = Engine(slots=64, ttft=0.1, tps=150)
        await engine.start()
        stack.push_async_callback(engine.kill)
        services = [Service(engine.port, **_SETTINGS) for _ in range(2)]
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        balancer = Balancer(services)
        listener = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
        stack.callback(listener.close)
        front = Service(engine.port)
        front.port = listener.sockets[0].getsockname()[1]
        checker = asyncio.create_task(balancer.check())
        stack.callback(checker.cancel)
        load = Load(front, seed)
        stop = asyncio.Event()
        clients = [asyncio.create_task(_client(load, stop, stream=n % 2 == 0)) for n in range(6)]
        for number in range(times):
            service = services[number % 2]
            await asyncio.sleep(0.5)
            service.signal(signal.SIGTERM)
            statuses.append(await service.ended())
            await service.start()
            await asyncio.sleep(3 * _CHECK_EVERY)
        stop.set()
        await asyncio.gather(*clients)
        complaints = [line for service in services for line in service.complaints()]
    failed = [(s.answer.status, s.answer.trouble, s.answer.body[-200:]) for s in load.samples if not s.answer.good]
    verdict.note("SIGTERMs", f"{times} under {len(load.samples)} calls")
    verdict.none("failed requests", failed)
    verdict.none("exit statuses other than 0", [status for status in statuses if status])
    verdict.none("complaints in the log", complaints)
    return verdict


async def _client(load: Load, stop: asyncio.Event, *, stream: bool) -> None:
    paths = itertools.cycle((STEP, FEEDBACK) if stream else (STEP, FEEDBACK, CHAT))
    while not stop.is_set():
        await load.one(next(paths), stream=stream)
