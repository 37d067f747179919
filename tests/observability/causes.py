"""What makes each alert fire: settings of a service and of its engine, and what happens to them."""

import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.simulator.sim_harness import Simulator
from tests.support.prompts import feedback_prompt, step_prompt
from tests.support.service import Service

CHAT = "/api/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "인사해 주세요."}]}
_ENGLISH = "This answer names the main idea and explains it well, but it lacks any example from real work."


@dataclass
class Scene:
    """A service and its engine."""

    service: Service
    engine: Simulator

    def ask(self, count: int = 4, path: str = CHAT, body: Any = None) -> None:
        """Some requests side by side, whatever comes of them."""

        def one() -> None:
            with suppress(httpx2.HTTPError):
                self.service.post(path, body or HELLO, timeout=15)

        with ThreadPoolExecutor(count) as pool:
            for _ in range(count):
                pool.submit(one)


@dataclass(frozen=True)
class Cause:
    """One.

    Attributes:
        begin: What breaks.
        go_on: What is done again and again until the alert fires.
        service: Settings of the service.
        engine: Settings of the engine.
    """

    begin: Callable[[Scene], object]
    go_on: Callable[[Scene], object] = lambda scene: scene.ask()
    service: Mapping[str, str] = field(default_factory=dict[str, str])
    engine: Mapping[str, Any] = field(default_factory=dict[str, Any])


def _nothing(_: Scene) -> None:
    time.sleep(0.2)  # the cause goes on by itself


def _freeze(scene: Scene) -> None:
    """Stand in for whatever keeps the process from running: a CPU that others use up, a blocking call."""
    scene.service.process.send_signal(signal.SIGSTOP)
    time.sleep(0.7)
    scene.service.process.send_signal(signal.SIGCONT)
    time.sleep(0.7)


def _english(scene: Scene) -> None:
    scene.engine.script("4", f'{{"score":7,"feedback":"{_ENGLISH}","improvement_suggestion":null}}')
    scene.service.post("/api/feedback", feedback_prompt())


CAUSES: Mapping[str, Cause] = {
    "ServiceDown": Cause(lambda scene: scene.service.stop(), _nothing),
    "EventLoopLate": Cause(_nothing, _freeze),
    "DecisionRecordsLost": Cause(
        _nothing, lambda scene: scene.ask(2, "/api/feedback", feedback_prompt()), {"AUDIT_LOG": "/dev/full"}
    ),
    "EngineDown": Cause(lambda scene: scene.engine.fault("restart", seconds=60), _nothing),
    "BreakerOpen": Cause(lambda scene: scene.engine.fault("status", status=500), lambda scene: scene.ask(8)),
    "EngineFiguresStale": Cause(lambda scene: scene.engine.fault("status", status=500, routes=["/v1/loads"]), _nothing),
    "EngineCacheFull": Cause(
        lambda scene: scene.engine.configure(tps=2, kv_tokens=40, context_length=8192),
        lambda scene: scene.ask(6),
    ),
    "EngineRetries": Cause(
        lambda scene: scene.engine.fault("status", status=503, probability=0.3), lambda scene: scene.ask(6)
    ),
    "RequestsFail": Cause(
        lambda scene: scene.engine.fault("status", status=500, probability=0.4), lambda scene: scene.ask(2)
    ),
    "RequestsRefused": Cause(
        lambda scene: scene.engine.configure(ttft=0.3),
        lambda scene: scene.ask(8),
        {"MAX_CONCURRENCY": "1", "MAX_QUEUE": "1"},
    ),
    "QueueLong": Cause(
        lambda scene: scene.engine.configure(ttft=2.0), lambda scene: scene.ask(8), {"MAX_CONCURRENCY": "1"}
    ),
    "FirstTokenSlow": Cause(
        lambda scene: scene.engine.configure(ttft=6.0),
        lambda scene: scene.ask(4, body=HELLO | {"stream": True}),  # a plain answer comes in one piece
    ),
    "AnswersRunAway": Cause(
        lambda scene: scene.engine.fault("endless_string", bytes=60, match='"max_tokens":800'),
        lambda scene: scene.ask(2, "/api/interview/step", step_prompt()),
    ),
    "AnswersRepaired": Cause(
        lambda scene: scene.engine.fault("truncate", bytes=40, match='"max_tokens":1000'),
        lambda scene: scene.ask(2, "/api/feedback", feedback_prompt()),
    ),
    "AnswersInAnotherLanguage": Cause(_nothing, _english),
}
