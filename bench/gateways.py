"""Who is measured, and how each is started: one process on one core, in front of the same engine."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import memory_bytes, running, wait_for
from bench.tools import CACHE, GATEWAY_CORE, HERE
from simulator.ports import free_port

MODEL = "bench"
CHAT_PATH = "/v1/chat/completions"
OURS, PLAIN, ROUTER, LITELLM = "this service", "plain service", "sglang-router", "litellm"
RAW = "raw proxy"
_PEERS = HERE / "peers"


@dataclass(frozen=True, slots=True)
class Gateway:
    """One subject.

    Attributes:
        name: As the report calls it.
        command: Its own port and the engine's -> the command.
        environment: The same -> environment variables.
        folder: Of its virtual environment below the cache; None if it runs in ours.
        ready: A path that answers 200 as soon as it can serve.
    """

    name: str
    command: Callable[[int, int], Sequence[str]]
    environment: Callable[[int, int], Mapping[str, str]] = field(default=lambda port, engine: {})  # noqa: ARG005
    folder: str | None = None
    ready: str | None = None


@dataclass(slots=True)
class Subject:
    """A gateway that runs; the engine itself has no process of a gateway."""

    name: str
    port: int
    pid: int | None = None
    startup: float = 0.0
    memory: int = 0


def _python(peer: str) -> str:
    return str(CACHE / "peers" / peer / "bin" / "python")


def _router(module: str, peer: str, *options: str) -> Callable[[int, int], Sequence[str]]:
    def command(port: int, engine: int) -> Sequence[str]:
        where = ("--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{engine}")
        measured = ("--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port()))
        return [_python(peer), "-m", module, *where, *measured, "--policy", "round_robin", *options]

    return command


def _litellm(port: int, engine: int) -> Sequence[str]:
    config = CACHE / "litellm.yaml"
    config.write_text(
        f"model_list:\n  - model_name: {MODEL}\n    litellm_params:\n      model: openai/{MODEL}\n"
        f"      api_base: http://127.0.0.1:{engine}/v1\n      api_key: none\n"
        "litellm_settings:\n  telemetry: false\n"
        "general_settings:\n  dangerously_permit_weak_or_unset_master_key: true\n"  # loopback only, no key to check
    )
    program = str(CACHE / "peers" / LITELLM / "bin" / LITELLM)
    return [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]


def _plain(port: int, engine: int) -> Sequence[str]:
    del engine
    where = ("--host", "127.0.0.1", "--port", str(port), "--log-level", "info")
    return [_python("plain"), "-m", "uvicorn", "bench.plain_service:app", *where]


def _raw(port: int, engine: int) -> Sequence[str]:
    del engine
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--no-server-header", "--lifespan", "off")
    return [sys.executable, "-m", "uvicorn", "bench.raw_proxy:app", *where]


def _ours(port: int, engine: int) -> Mapping[str, str]:
    return {
        "APP_HOST": "127.0.0.1",
        "APP_PORT": str(port),
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(engine),
        "MODEL_NAME": MODEL,
        "MAX_CONCURRENCY": "8192",  # the engine is never the bottleneck here, so admission must not be
        "MAX_QUEUE": "20000",
        "MAX_CONNECTIONS": "20000",
        "SCORE_MEMORY_SECONDS": "0",  # all requests are about one answer: each is to be measured
    }


GATEWAYS: Mapping[str, Gateway] = {
    gateway.name: gateway
    for gateway in (
        Gateway(
            OURS,
            lambda _, __: [str(Path(sys.executable).parent / "llm-service"), "serve"],
            _ours,
            ready="/health/ready",
        ),
        Gateway(ROUTER, _router("sglang_router.launch_router", ROUTER), folder=ROUTER),
        Gateway("vllm-router", _router("vllm_router.launch_router", "vllm-router"), folder="vllm-router"),
        Gateway("smg", _router("smg.launch_router", "smg"), folder="smg"),
        Gateway(RAW, _raw, lambda _, engine: {"ENGINE_URL": f"http://127.0.0.1:{engine}"}),
        Gateway(PLAIN, _plain, lambda _, engine: {"ENGINE_URL": f"http://127.0.0.1:{engine}"}, folder="plain"),
        Gateway(LITELLM, _litellm, lambda _, __: {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, folder=LITELLM),
    )
}


def install(gateway: Gateway) -> None:
    """Its own virtual environment, once for each pinned list of packages."""
    if gateway.folder is None:
        return
    folder, wanted = CACHE / "peers" / gateway.folder, (_PEERS / f"{gateway.folder}.txt").read_text()
    stamp = folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {gateway.name} into {folder.relative_to(CACHE.parent)} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(_PEERS / f"{gateway.folder}.txt")], check=True)
    stamp.write_text(wanted)


@contextmanager
def started(gateway: Gateway, engine_port: int, body: bytes, cores: int | str = GATEWAY_CORE) -> Generator[Subject]:
    """``gateway`` in front of the engine, once it has answered its first chat."""
    CACHE.mkdir(exist_ok=True)
    port, log = free_port(), CACHE / f"{gateway.name.replace(' ', '-')}.log"
    begun = time.monotonic()
    command, environment = gateway.command(port, engine_port), gateway.environment(port, engine_port)
    with running(command, core=cores, log=log, environment=environment) as process:
        url = f"http://127.0.0.1:{port}"
        if gateway.ready:
            wait_for(url + gateway.ready, process, log)
        wait_for(url + CHAT_PATH, process, log, body)
        subject = Subject(gateway.name, port, process.pid, time.monotonic() - begun)
        subject.memory = memory_bytes(process.pid)
        yield subject
