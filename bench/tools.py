"""The two programs in C around a gateway: a fake engine and a load generator, built when they are first needed."""

import json
import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.processes import cpu_seconds, on_core, running, wait_for
from simulator.ports import free_port

HERE = Path(__file__).parent
CACHE = HERE.parent / ".bench"
_LAST = (os.cpu_count() or 1) - 1
GATEWAY_CORE, TOOL_CORE = (int(core) for core in os.environ.get("BENCH_CORES", f"0,{_LAST}").split(","))
ALL_CORES = f"{GATEWAY_CORE},{TOOL_CORE}"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the load generator found; times in microseconds.

    Attributes:
        seconds: How long it took.
        cpu: CPU seconds of the load generator.
        requests: Whole answers.
        errors: Everything else.
        unfinished: Answers that did not end.
        chunks: Marked chunks that arrived.
        whole: From the request to the end of its answer: p50, p90, p99, max.
        first: The same to the first chunk.
        delay: The same of a chunk, from the engine to the client.
    """

    seconds: float
    cpu: float
    requests: int
    errors: int
    unfinished: int
    chunks: int
    reads: int
    bytes: int
    whole: Mapping[str, float]
    first: Mapping[str, float]
    delay: Mapping[str, float]


def build(name: str) -> Path:
    """The program ``name``, compiled if its source is newer.

    Raises:
        RuntimeError: there is no C compiler.
    """
    source, program = HERE / "wire" / f"{name}.c", CACHE / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("make bench needs a C compiler (Debian: apt-get install gcc)")
    CACHE.mkdir(exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


class Engine:
    """The fake engine, while it runs."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def configure(self, *, tokens: int, gap: float = 0.0, first: float = 0.0) -> None:
        """What later chats get: chunks, and seconds before the first and between two."""
        query = f"tokens={tokens}&gap={round(gap * 1e6)}&first={round(first * 1e6)}"
        with urlopen(f"http://127.0.0.1:{self.port}/_bench?{query}", timeout=5) as answer:
            answer.read()

    def counts(self) -> tuple[int, int]:
        """Chats that it was asked for so far, and chunks that it has sent."""
        with urlopen(f"http://127.0.0.1:{self.port}/_bench?", timeout=5) as answer:
            found = json.load(answer)
        return found["calls"], found["chunks"]

    def cpu(self) -> float:
        """CPU seconds it has used."""
        return cpu_seconds(self.pid)


@contextmanager
def engine(answers: Path | None = None) -> Generator[Engine]:
    """A fake engine; ``answers``: a file of canned ones."""
    port, log = free_port(), CACHE / "engine.log"
    command = [str(build("engine")), str(port), *([str(answers)] if answers else [])]
    with running(command, core=TOOL_CORE, log=log) as process:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield Engine(port, process.pid)


def load(port: int, path: str, body: object, *, connections: int, seconds: float, headers: Sequence[str] = ()) -> Run:
    """Load on ``port``; 0 seconds: one answer for each connection.

    Raises:
        RuntimeError: the load generator failed, or not one answer was whole.
    """
    file = CACHE / "body.json"
    file.write_text(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
    command = [str(build("load")), str(port), path, str(file), str(connections), str(seconds), *headers]
    done = subprocess.run(on_core(TOOL_CORE, command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"load generator: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    run = Run(**found)
    if not run.requests:
        raise RuntimeError(f"no whole answer from {path}: {done.stderr.strip()}")
    return run
