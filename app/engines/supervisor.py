"""Runs an engine as a child process: starts it, follows its output, restarts it after a crash, stops all of it."""

import asyncio
import logging
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from app.engines.base import Address

_LISTENING = re.compile(r"LISTENING (\S+) (\d{1,5})")
_FIRST_DELAY = 1.0
_MAX_DELAY = 30.0
_STEADY_AFTER = 60.0
_LAST_LINE = 200

RUN_FOLDER = "{run_folder}"

log = structlog.get_logger("engine")


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """How to start an engine.

    Attributes:
        argv: The command.
        environment: Variables added to this process's own; ``RUN_FOLDER`` in them stands for a folder that is made for
            one run of the engine and removed after it.
        address: Where it will listen; None if it says so itself, by a line ``LISTENING host port`` on standard output.
        line_level: The level at which lines of its output are logged that name none of their own.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    address: Address | None = None
    line_level: int = logging.DEBUG


class Supervisor:
    """Keeps one engine process running; it is the ``EngineHost`` of that engine.

    The child runs in a session of its own, so that a Ctrl-C in the terminal reaches it through us, in order, and so
    that all its descendants can be stopped together.
    """

    def __init__(self, command: EngineCommand, *, stop_grace: float = 5.0) -> None:
        self._command = command
        self._stop_grace = stop_grace
        self._process: asyncio.subprocess.Process | None = None
        self._address: Address | None = None
        self._last_line = ""
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
            try:
                status = await self._run_once()
                said = f": {self._last_line}" if self._last_line else ""
                self._trouble = f"the engine stopped (exit status {status}{said}) and is being restarted"
            except OSError as error:  # no memory for a process, for example
                self._trouble = f"the engine cannot be started ({error.strerror})"
            if loop.time() - started > _STEADY_AFTER:
                delay = _FIRST_DELAY
            log.error("engine stopped", reason=self._trouble, restart_in=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _MAX_DELAY)

    async def _run_once(self) -> int | None:
        folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="llm-service-")
        try:
            added = {name: value.replace(RUN_FOLDER, folder) for name, value in self._command.environment.items()}
            return await self._run_process({**os.environ, **added})
        finally:
            # In a thread, because it blocks; not awaited, because this may be the end of a cancelled task.
            asyncio.get_running_loop().run_in_executor(None, partial(shutil.rmtree, folder, ignore_errors=True))

    async def _run_process(self, environment: Mapping[str, str]) -> int | None:
        process = await asyncio.create_subprocess_exec(
            *self._command.argv,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,  # apart: a log line must never break into the announced address
            start_new_session=True,
        )
        self._process = process
        self._address = self._command.address
        log.info("engine started", pid=process.pid)
        output = asyncio.gather(self._follow(process.stdout), self._follow(process.stderr))
        try:
            await _has_ended(process.pid)
        finally:
            await _uncancelled(self._clean_up(process, output))
        return process.returncode

    async def _clean_up(self, process: asyncio.subprocess.Process, output: asyncio.Future[Any]) -> None:
        self._address = None
        self._trouble = "the engine is stopping"
        await _stop(process, output, self._stop_grace)
        self._address = None  # its last words may have named one
        self._process = None

    async def _follow(self, output: asyncio.StreamReader | None) -> None:
        """Read one of the engine's outputs to its end: its address, and log lines."""
        if output is None:
            raise ValueError("the engine's output is not a pipe")
        while line := await _read_line(output):
            text = line.decode("utf-8", "replace").rstrip()
            if found := _LISTENING.fullmatch(text):
                self._address = Address(found[1], int(found[2]))
                log.info("engine listening", host=found[1], port=int(found[2]))
            elif text:
                self._last_line = text[:_LAST_LINE]
                log.log(_level(text) or self._command.line_level, text)


async def _read_line(output: asyncio.StreamReader) -> bytes:
    """The next line; a line longer than the reader's buffer comes in pieces."""
    try:
        return await output.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await output.read(error.consumed or 1)


def _level(line: str) -> int | None:
    """The level of an engine's log line: both llama.cpp (``0.06.614 W srv ...``) and SGLang name it early."""
    head = line[:60]
    if " E " in head or "ERROR" in head or "Traceback" in head:
        return logging.ERROR
    if " W " in head or "WARNING" in head:
        return logging.WARNING
    return None


async def _has_ended(pid: int) -> None:
    """Return when the process ends; its output may go on, from descendants that it leaves behind."""
    ended = asyncio.Event()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _uncancelled(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` to its end; a cancellation that comes meanwhile takes effect after it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _stop(process: asyncio.subprocess.Process, output: asyncio.Future[Any], grace: float) -> None:
    """End the process and all its descendants: SIGTERM, then SIGKILL once ``grace`` seconds are over.

    Its output is read all the while: who writes to a full pipe cannot end in an orderly way, and the output's end shows
    that the descendants have ended too.
    """
    ends: list[asyncio.Future[Any]] = [output, asyncio.create_task(process.wait(), name="engine exit")]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        await asyncio.wait(ends, timeout=grace)
    for end in ends:
        end.cancel()
