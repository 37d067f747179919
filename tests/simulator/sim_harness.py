"""A simulator in its own process, and the few calls that tests make to it."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
QUESTION = {"model": "smol", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
FAST = {
    "model_id": "smol",
    "context_length": 8192,
    "slots": 16,
    "max_queued": None,
    "kv_tokens": None,
    "priority": True,
    "prefix_cache": True,
    "eos_token_id": 2,
    "ttft": 0.0,
    "tps": 0.0,
    "tokens_per_chunk": 1,
    "typical_chars": 60,
    "disconnect_poll": 0.05,
    "drain_poll": 0.02,
    "api_key": None,
    "metrics": True,
}


def arguments(settings: dict[str, Any]) -> list[str]:
    """Settings as command line options."""
    given: list[str] = []
    for name, value in settings.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            given.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            given += [f"--{option}", str(value)]
    return given


class Simulator:
    """One simulator process."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.client = httpx2.Client(base_url=url, timeout=20)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def configure(self, **changes: Any) -> None:
        """Change settings while it runs."""
        self.client.post("/_sim/settings", json=changes).raise_for_status()

    def fault(self, kind: str, **rest: Any) -> None:
        """Set one fault."""
        self.client.post("/_sim/faults", json={"kind": kind, **rest}).raise_for_status()

    def script(self, *answers: str) -> None:
        """Give these answers in turn."""
        self.client.post("/_sim/script", json=answers).raise_for_status()

    def state(self, last: int = 10) -> dict[str, Any]:
        """What it knows."""
        return self.client.get("/_sim/state", params={"last": last}).json()

    def wait(self, **conditions: int) -> dict[str, Any]:
        """Wait until figures have these values."""
        answer = self.client.get("/_sim/wait", params=dict(conditions))
        assert answer.status_code == 200, (conditions, answer.text)
        return answer.json()

    def ask(self, **fields: Any) -> httpx2.Response:
        """Send one chat."""
        return self.client.post(CHAT, json={**QUESTION, **fields})

    def text(self, **fields: Any) -> str:
        """The content of one chat's answer."""
        answer = self.ask(**fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"]

    def events(self, **fields: Any) -> list[Any]:
        """The events of one streamed chat; the end marker stays a string."""
        return events_of(self.ask(stream=True, **fields).text)

    @contextmanager
    def in_flight(self, **fields: Any) -> Generator[httpx2.Response]:
        """A streamed chat that is open while the block runs."""
        with self.client.stream("POST", CHAT, json={**QUESTION, "stream": True, **fields}) as answer:
            yield answer


class Background:
    """A blocking call in a thread of its own."""

    def __init__(self, call: Callable[[], httpx2.Response]) -> None:
        self._result: httpx2.Response | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(call,))
        self._thread.start()

    def _run(self, call: Callable[[], httpx2.Response]) -> None:
        try:
            self._result = call()
        except httpx2.HTTPError as error:
            self._error = error

    def result(self) -> httpx2.Response:
        """The answer, once it is there."""
        self._thread.join(timeout=20)
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result


def events_of(text: str) -> list[Any]:
    """The data of each SSE event."""
    blocks = [block for block in text.split("\n\n") if block]
    assert all(block.startswith("data: ") for block in blocks), text
    data = [block.removeprefix("data: ") for block in blocks]
    return [part if part == "[DONE]" else json.loads(part) for part in data]


def content_of(events: list[Any]) -> str:
    """The text of a chat stream."""
    chunks = [event for event in events if event != "[DONE]"]
    parts = [choice["delta"].get("content") or "" for event in chunks for choice in event.get("choices", [])]
    return "".join(parts)


def finish_of(events: list[Any]) -> str | None:
    """The finish reason of a chat stream."""
    reasons = [event["choices"][0]["finish_reason"] for event in events if event != "[DONE]" and event.get("choices")]
    return next((reason for reason in reasons if reason), None)


@contextmanager
def running(settings: dict[str, Any], *extra: str) -> Generator[Simulator]:
    """Start a simulator on a free port and stop it by its process id at the end."""
    command = [sys.executable, "-m", "simulator", "--port", "0", *arguments(settings), *extra]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    if found is None:
        message = process.communicate()[1]
        raise AssertionError(message)
    simulator = Simulator(process, found[0])
    try:
        yield simulator
    finally:
        simulator.client.close()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=20)[1]
        assert errors == "", errors
