"""The processes of a scenario: a simulated engine, the service, and what can be seen of them from outside."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from chaos.client import Answer, call, get
from simulator.ports import free_port

ROOT = Path(__file__).parent.parent
_OURS = ("APP_", "SGLANG_", "MAX_", "REQUEST_", "FEEDBACK_", "INTERVIEW_", "REPORT_", "RETRY_", "DRAIN_", "ENGINE")
_START = 240.0  # a busy machine starts a process in a minute


class Engine:
    """A simulated engine on a port of its own, which it keeps over restarts."""

    def __init__(self, **settings: Any) -> None:
        self.port = free_port()
        self._settings: dict[str, Any] = {"context_length": 8192, "disconnect_poll": 0.05, **settings}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and return when it listens."""
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self._settings.items() if value is not True]
        flags = [f"--{name.replace('_', '-')}" for name, value in self._settings.items() if value is True]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator", "--port", str(self.port), *options, *flags),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        if self._process.stdout is None or not await self._process.stdout.readline():
            raise RuntimeError("the simulator did not start")

    async def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(sign)
            await self._process.wait()

    async def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """One call to its switches."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = await call(self.port, f"/_sim/{path}", data, method=method, timeout=30)
        return json.loads(answer.body or b"null")

    async def state(self) -> dict[str, Any]:
        """Its figures."""
        return json.loads((await get(self.port, "/_sim/state?last=0")).body)

    async def wait(self, **conditions: int) -> None:
        """Return when its figures have these values."""
        query = "&".join(f"{name}={value}" for name, value in conditions.items())
        answer = await get(self.port, f"/_sim/wait?timeout=20&{query}")
        if answer.status != 200:  # noqa: PLR2004
            raise RuntimeError(f"the engine never had {conditions}: {answer.body[:300]!r}")


class Service:
    """One instance of the service in front of an engine's port."""

    def __init__(self, engine_port: int, **settings: Any) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="chaos-")
        self._figures = Path(self._folder.name) / "figures.json"
        self.output = Path(self._folder.name) / "output.txt"
        given = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": engine_port, "MAX_MODEL_LEN": 8192, **settings}
        given |= {"APP_HOST": "127.0.0.1", "APP_PORT": self.port, "LOG_LEVEL": given.get("LOG_LEVEL", "WARNING")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self._environment: Mapping[str, str] = kept | {name: str(value) for name, value in given.items()}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *, ready: bool = True) -> None:
        """Start it; return when it is ready, or at once."""
        with self.output.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "chaos.served", str(self._figures)),
                cwd=ROOT,
                env=self._environment,
                stdout=sink,
                stderr=sink,
            )
        until = time.monotonic() + _START
        while ready and not await self.is_ready():
            if time.monotonic() > until or self._process.returncode is not None:
                ending = f"exit status {self._process.returncode}"
                raise RuntimeError(f"the service is not ready ({ending}):\n{self.output.read_text()[-3000:]}")
            await asyncio.sleep(0.05)

    @property
    def pid(self) -> int:
        """Of the process."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process.pid

    async def is_ready(self) -> bool:
        """Whether it says so."""
        answer = await get(self.port, "/health/ready", timeout=2)
        return answer.status == 200  # noqa: PLR2004

    async def figures(self) -> dict[str, Any]:
        """What it holds: tasks, sockets, memory, errors nobody waited for."""
        self._figures.unlink(missing_ok=True)
        self.signal(signal.SIGUSR1)
        while not self._figures.exists():  # noqa: ASYNC110  another process makes it
            await asyncio.sleep(0.01)
        return json.loads(self._figures.read_text())

    def signal(self, sign: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(sign)

    async def ended(self) -> int:
        """Its exit status, once it has ended."""
        return -1 if self._process is None else await self._process.wait()

    async def stop(self) -> int:
        """End it in an orderly way."""
        if self._process is None or self._process.returncode is not None:
            return 0
        self.signal(signal.SIGTERM)
        return await self.ended()

    def complaints(self) -> list[str]:
        """Lines of its log that no fault of others explains."""
        marks = ("Traceback", "Exception", "never retrieved", "was destroyed", "never awaited", "Warning:")
        return [line for line in self.output.read_text().splitlines() if any(mark in line for mark in marks)]

    async def post(self, path: str, body: bytes, **options: Any) -> Answer:
        """One call to it."""
        return await call(self.port, path, body, **options)


@asynccontextmanager
async def stage(engine: Mapping[str, Any], service: Mapping[str, Any]) -> AsyncGenerator[tuple[Engine, Service], None]:
    """An engine and a service in front of it while the body runs."""
    async with AsyncExitStack() as stack:
        machine = Engine(**engine)
        await machine.start()
        stack.push_async_callback(machine.kill)
        front = Service(machine.port, **service)
        await front.start()
        stack.push_async_callback(front.stop)
        yield machine, front
