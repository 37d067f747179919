"""The engine of an interview and the two services in front of it."""

import json
import os
import re
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil

from bench.gateways import GATEWAYS, MODEL, OURS, PLAIN, Gateway, install, started
from bench.processes import running, wait_for
from bench.tools import ALL_CORES, CACHE, TOOL_CORE
from simulator.ports import free_port

_TTFT, _PREFILL = 0.1, 4000  # seconds and tokens a second of the simulator: near Qwen3-32B on one large GPU
_EMBEDDED = "qwen2.5-coder-1.5b"
_MEMORY = "SCORE_MEMORY_SECONDS"


def _warm(model: str) -> bytes:
    """A chat that asks for one token."""
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "안녕하세요?"}], "max_tokens": 1}
    ).encode()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an engine says it did.

    Attributes:
        completion: Tokens written.
        prompt: Tokens of prompts that were sent.
        computed: Those of them that no cache held.
    """

    completion: float = 0
    prompt: float = 0
    computed: float = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.completion + other.completion, self.prompt + other.prompt, self.computed + other.computed)

    def __sub__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.completion - other.completion, self.prompt - other.prompt, self.computed - other.computed)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs.

    Attributes:
        urls: Of the two services.
        tokens: What the engine did so far.
        prepare: Called with what a simulated model says before a service is used.
        conditions: For the report.
    """

    urls: Mapping[str, str]
    tokens: Callable[[], Tokens]
    prepare: Callable[[Mapping[str, Any]], None]
    conditions: str


def stage(engine: str, tps: float) -> AbstractContextManager[Stage]:
    """Both services in front of ``engine``: ``simulator``, ``embedded``, or the address of an SGLang."""
    install(GATEWAYS[PLAIN])
    if engine == "simulator":
        return _simulated(tps)
    return _embedded() if engine == "embedded" else _running(engine)


def tokens_of(metrics: str) -> Tokens:
    """From the metrics of SGLang (or the simulator) or of llama.cpp."""
    if "llamacpp:" in metrics:
        computed = _sum(metrics, "llamacpp:prompt_tokens_total")
        return Tokens(_sum(metrics, "llamacpp:tokens_predicted_total"), computed, computed)
    prompt = _sum(metrics, "sglang:prompt_tokens_total")
    cached = _sum(metrics, "sglang:cached_tokens_total")
    return Tokens(_sum(metrics, "sglang:generation_tokens_total"), prompt, prompt - cached)


def _sum(metrics: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)", metrics, re.MULTILINE))


def _ask(url: str, body: object = None, key: str = "") -> str:
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers), timeout=60) as answer:  # noqa: S310  an engine of the operator's
        return answer.read().decode()


def _nothing(_: Mapping[str, Any]) -> None:
    """A real model needs no words."""


@contextmanager
def _simulated(tps: float) -> Generator[Stage]:
    port, log = free_port(), CACHE / "simulator.log"
    speed = ("--tps", str(tps), "--ttft", str(_TTFT), "--prefill-tps", str(_PREFILL))
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--model-id", MODEL, *speed, "--prefix-cache"]
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        process = stack.enter_context(running(command, core=TOOL_CORE, log=log))
        wait_for(f"{url}/ready", process, log)
        urls = {name: _url(stack, _with(name, {"ENGINE_URL": url}), port) for name in (OURS, PLAIN)}

        def prepare(words: Mapping[str, Any]) -> None:
            _ask(f"{url}/_sim/reset", {})
            _ask(f"{url}/_sim/script", words)

        conditions = (
            f"Simulated SGLang: {tps:g} tokens/s a stream, {_TTFT:g} s to the first token and 1 s more for "
            f"{_PREFILL:,} prompt tokens that are not cached; the cache is empty at the start of each row and round."
        )
        yield Stage(urls, lambda: tokens_of(_ask(f"{url}/metrics")), prepare, conditions)


@contextmanager
def _embedded() -> Generator[Stage]:
    def command(port: int, engine: int) -> Sequence[str]:
        return [*GATEWAYS[OURS].command(port, engine), "--embedded"]

    def environment(port: int, engine: int) -> Mapping[str, str]:
        del engine  # nothing of an engine elsewhere: its own one is asked with the settings that a user finds
        return {
            "APP_HOST": "127.0.0.1",
            "APP_PORT": str(port),
            "EMBEDDED_MODEL": _EMBEDDED,
            "LOG_LEVEL": "ERROR",
            "REQUEST_TIMEOUT": "600",
        }

    ours = replace(GATEWAYS[OURS], command=command, environment=environment)
    with ExitStack() as stack:
        subject = stack.enter_context(started(ours, 0, _warm(_EMBEDDED), cores=ALL_CORES))  # the engine is its child
        child, port = _listening_child(subject.pid or 0)
        key, url = child.environ()["ENGINE_API_KEY"], f"http://127.0.0.1:{port}"
        plain = _with(PLAIN, {"ENGINE_URL": url, "ENGINE_KEY": key})
        urls = {OURS: f"http://127.0.0.1:{subject.port}", PLAIN: _url(stack, plain, port)}
        conditions = "llama.cpp with Qwen2.5-Coder-1.5B for both, after an interview each; no words are given."
        yield Stage(urls, lambda: tokens_of(_ask(f"{url}/metrics", key=key)), _nothing, conditions)


@contextmanager
def _running(url: str) -> Generator[Stage]:
    address, key = urlsplit(url), os.environ.get("SGLANG_API_KEY", "")
    host, port = address.hostname or "127.0.0.1", address.port or 80
    model = json.loads(_ask(f"{url}/v1/models", key=key))["data"][0]["id"]
    variables = {
        "SGLANG_HOST": host,
        "MODEL_NAME": model,
        "MODEL": model,
        "ENGINE_URL": url,
        "ENGINE_KEY": key or "none",
        "FEEDBACK_TIMEOUT": "600",  # the plain service waits as long: one on a CPU may need a minute
        "INTERVIEW_TIMEOUT": "600",
    }
    with ExitStack() as stack:
        urls = {name: _url(stack, _with(name, variables), port, model) for name in (OURS, PLAIN)}
        conditions = f"{model} on SGLang for both, after an interview each; no words are given."
        yield Stage(urls, lambda: tokens_of(_ask(f"{url}/metrics", key=key)), _nothing, conditions)


def _with(name: str, variables: Mapping[str, str]) -> Gateway:
    """A gateway with more environment variables; it remembers what it measured, as it does where users run it."""
    gateway = GATEWAYS[name]

    def environment(port: int, engine: int) -> Mapping[str, str]:
        usual = {name: value for name, value in gateway.environment(port, engine).items() if name != _MEMORY}
        return {**usual, **variables}

    return replace(gateway, environment=environment)


def _url(stack: ExitStack, gateway: Gateway, port: int, model: str = MODEL) -> str:
    subject = stack.enter_context(started(gateway, port, _warm(model)))
    return f"http://127.0.0.1:{subject.port}"


def _listening_child(pid: int) -> tuple[psutil.Process, int]:
    """The engine that a service has started, and its port."""
    for child in psutil.Process(pid).children(recursive=True):
        for connection in child.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return child, connection.laddr.port
    raise RuntimeError("the service has no engine of its own")
