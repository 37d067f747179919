"""Processes, seen from outside: what a tree of them has cost, what it holds, and on which core it runs."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError
from urllib.request import Request, urlopen

_PATIENCE = 120.0  # seconds for a process to answer; LiteLLM takes 20


def on_core(core: int | str, command: Sequence[str]) -> list[str]:
    """``command`` on a core (or several, by commas); the kernel kills it if this process dies without doing so."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *command]


def stop_on_signals() -> None:
    """Let SIGTERM and Ctrl-C unwind, so that whatever was started is ended; a shell's background jobs ignore Ctrl-C."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _stop)


def _stop(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the clean-up short
    sys.exit(128 + number)


def open_many_files() -> None:
    """Let this process and those that it starts hold as many sockets as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def tree(pid: int) -> list[int]:
    """``pid`` and all its descendants that live."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU that the tree of ``pid`` has used, to the nanosecond: /proc/PID/task/TID/schedstat."""
    total = 0
    for one in tree(pid):
        for stat in Path(f"/proc/{one}/task").glob("*/schedstat"):
            try:
                total += int(stat.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def ticks(pid: int) -> tuple[int, int]:
    """The same in user and in kernel mode, in ticks of the kernel's clock, a hundred a second: /proc/PID/stat."""
    user = kernel = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user, kernel


def memory_bytes(pid: int) -> int:
    """Proportional set size of the tree of ``pid``."""
    total = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024


@contextmanager
def running(
    command: Sequence[str], *, core: int | str, log: Path, environment: Mapping[str, str] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """``command`` on one core while the body runs; its whole group is ended after."""
    variables = {**os.environ, **(environment or {})}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            on_core(core, command),
            stdout=sink,
            stderr=sink,
            env=variables,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, body: bytes | None = None) -> None:
    """Return when ``url`` answers 200.

    Raises:
        RuntimeError: the process has ended, or does not answer in two minutes.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            request = Request(url, body, {"content-type": "application/json"})  # noqa: S310  loopback
            with urlopen(request, timeout=5) as answer:  # noqa: S310
                answer.read()
                return
        except (URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"{' '.join(map(str, process.args))}: no answer.\n{log.read_text()[-2000:]}")  # type: ignore[arg-type]
