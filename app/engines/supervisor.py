"""Runs an engine as a child process: starts it, follows its output, restarts it after a crash, stops all of it."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from app.engines.base import Address

_LISTENING = "LISTENING "
_FIRST_DELAY = 1.0
_MAX_DELAY = 30.0
_STEADY_AFTER = 60.0
_STOP_GRACE = 5.0

log = structlog.get_logger("engine")


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """How to start an engine.

    Attributes:
        argv: The command; it must print ``LISTENING host port`` on its own line once it serves.
        environment: Variables added to this process's own.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


class Supervisor:
    """Keeps one engine process running; it is the ``EngineHost`` of that engine.

    The child runs in a session of its own, so that a Ctrl-C in the terminal reaches it through us, in order, and so
    that all its descendants can be stopped together.
    """

    def __init__(self, command: EngineCommand) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._address: Address | None = None
        self._trouble = "the engine is starting"

    @property
    def address(self) -> Address | None:
        """Where the engine listens now; None while it does not."""
        return self._address

    @property
    def trouble(self) -> str | None:
        """Why there is no address; None if there is one."""
        return None if self._address else self._trouble

    @property
    def pid(self) -> int | None:
        """The engine's process id while it runs."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep the engine running until cancelled; the process is gone when this ends."""
        delay = _FIRST_DELAY
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            status = await self._run_once()
            if loop.time() - started > _STEADY_AFTER:
                delay = _FIRST_DELAY
            self._trouble = f"the engine stopped (exit status {status}) and is being restarted"
            log.error("engine stopped", exit_status=status, restart_in=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _MAX_DELAY)

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command.argv,
            env={**os.environ, **self._command.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        log.info("engine started", pid=process.pid)
        try:
            await self._follow(process)
            return await process.wait()
        finally:
            self._address = None
            self._trouble = "the engine is stopping"
            await _stop(process)
            self._process = None

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        """Read the engine's output to its end: its address, and log lines."""
        output = process.stdout
        if output is None:
            raise ValueError("the engine's output is not a pipe")
        while line := await _read_line(output):
            text = line.decode("utf-8", "replace").rstrip()
            if text.startswith(_LISTENING):
                _, host, port = text.split()
                self._address = Address(host, int(port))
                log.info("engine listening", host=host, port=int(port))
            elif text:
                log.log(_level(text), text)


async def _read_line(output: asyncio.StreamReader) -> bytes:
    """The next line; a line longer than the reader's buffer comes in pieces."""
    try:
        return await output.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await output.read(error.consumed or 1)


def _level(line: str) -> int:
    """The level of an engine's log line: both llama.cpp (``0.06.614 W srv ...``) and SGLang name it early."""
    head = line[:60]
    if " E " in head or "ERROR" in head or "Traceback" in head:
        return 40
    if " W " in head or "WARNING" in head:
        return 30
    return 10


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the process and all its descendants: SIGTERM, then SIGKILL after a grace period."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        if process.returncode is not None:
            continue  # the leader is gone; SIGKILL still reaches descendants it left behind
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_GRACE):
                await process.wait()
