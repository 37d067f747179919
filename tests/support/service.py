"""The service as a real process on a free loopback port."""

import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil

from simulator.ports import free_port

ROOT = Path(__file__).parent.parent.parent
LLM_SERVICE = Path(sys.executable).parent / "llm-service"
START_LIMIT = 60.0
# Without this every call reads all certificates anew, 50 ms of CPU: who polls takes a core from what is watched.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without any setting of the service, plus ``variables``."""
    ours = {
        "APP_",
        "SGLANG_",
        "DEFAULT_",
        "MAX_",
        "MODEL",
        "EMBEDDED_",
        "ENGINE",
        "REQUEST_",
        "LOG_",
        "DEVICE",
        "TENSOR_",
        "FEEDBACK_",
        "INTERVIEW_",
        "REPORT_",
        "RETRY_",
        "SCORE_",
        "IDEMPOTENCY_",
        "RECEIVE_",
        "SEND_",
        "DRAIN_",
        "AUDIT_",
        "METRICS",
        "OTEL_",
        "API_KEYS",
        "KEY_",
        "REQUESTS_",
        "TOKENS_",
        "CORS_",
    }
    kept = {k: v for k, v in os.environ.items() if not any(k.startswith(prefix) for prefix in ours)}
    return kept | {"MODELS_DIR": str(ROOT / "models")} | variables


class Service:
    """One running service; leaves no process behind.

    Attributes:
        url: Where it listens.
        output: The file that holds what it printed.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory(prefix="llm-service-test-")
        self.output = Path(self.folder.name) / "output.txt"
        variables = {"APP_HOST": "127.0.0.1", "APP_PORT": str(self.port), **(environment or {})}
        with self.output.open("wb") as sink:
            self.process = subprocess.Popen(
                [str(LLM_SERVICE), "serve", *arguments],
                cwd=self.folder.name,  # no .env of the developer's is read
                env=clean_environment(**variables),
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.folder.cleanup()

    def wait_healthy(self, limit: float = START_LIMIT) -> Self:
        """Return when /health answers 200; fail with the service's output if it ends or takes too long."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended with {self.process.returncode}:\n{self.text()}")
            if self.health_status() == 200:
                return self
            time.sleep(0.05)
        told = "\n".join(line for line in self.text().splitlines() if '"access"' not in line)
        raise AssertionError(f"not healthy within {limit} s: {self.health()}\n{told}")

    def health(self) -> Any:
        """The body of /health."""
        return httpx2.get(f"{self.url}/health", timeout=5, verify=PLAIN).json()

    def health_status(self) -> int | None:
        """The status of /health, or None if nothing answers."""
        try:
            return httpx2.get(f"{self.url}/health", timeout=5, verify=PLAIN).status_code
        except httpx2.TransportError:
            return None

    def text(self) -> str:
        """What the service printed so far."""
        return self.output.read_text(errors="replace")

    def post(self, path: str, body: Any, timeout: float = 300, **headers: str) -> httpx2.Response:
        """POST ``body`` as JSON; tests repeat themselves and want a new answer each time."""
        given = {"Cache-Control": "no-store"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(f"{self.url}{path}", json=body, timeout=timeout, headers=given, verify=PLAIN)

    def engine(self) -> psutil.Process:
        """The engine's process."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def engine_slots(self) -> list[dict[str, Any]]:
        """The embedded engine's own slot list, asked for directly."""
        engine = self.engine()
        (address,) = {c.laddr for c in engine.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        key = engine.environ()["ENGINE_API_KEY"]
        url, headers = f"http://127.0.0.1:{address.port}/slots", {"Authorization": f"Bearer {key}"}
        answer = httpx2.get(url, headers=headers, timeout=30, verify=PLAIN)
        slots: list[dict[str, Any]] = answer.raise_for_status().json()
        return slots

    def stop(self, sign: signal.Signals = signal.SIGTERM, limit: float = 20) -> int:
        """Send ``sign``, wait for the end, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def wait_until(condition: Any, limit: float, what: str) -> float:
    """Return the seconds until ``condition()`` holds; fail after ``limit``."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit:
            raise AssertionError(f"{what}: not within {limit} s")
        time.sleep(0.02)
    return time.monotonic() - started
