"""Runs an unpacked image under runc as production should run it, looks at it from inside and outside, and stops it."""

import http.client
import json
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_READY_WITHIN = 90.0
_START_WITHIN = 10.0
_STOP_WITHIN = 30.0
_PRIVATE_NAMESPACES = ("pid", "ipc", "uts", "mount")  # not the network: the service is asked over loopback
_QUESTION = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8, "temperature": 0}
_LONG_QUESTION = {
    "messages": [{"role": "user", "content": "Write the word no one thousand times."}],
    "max_tokens": 1500,
    "temperature": 0,
    "stream": True,
}
# Prints what a process in the container is and may do; each path is one that a read-only root must protect.
_PROBE = """
import json, os
def writable(folder):
    path = os.path.join(folder, ".probe")
    try:
        open(path, "w").close()
        os.remove(path)
        return "written"
    except OSError as error:
        return error.strerror
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "capabilities": int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]),
    "command": open("/proc/1/cmdline").read().split(chr(0))[:-1],
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "writes": {folder: writable(folder) for folder in ("/", "/app", "/opt/venv", "/etc", "/models", "/tmp")},
}))
"""


class ContainerError(Exception):
    """A step failed, or a promise was not kept; the message says which."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How a container ended on SIGTERM.

    Attributes:
        seconds: From the signal to its end.
        exit_status: Of process 1.
        left_behind: Its processes that still existed after that.
    """

    seconds: float
    exit_status: int
    left_behind: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a running container showed.

    Attributes:
        uid: Of its processes.
        gid: Of its processes.
        groups: Further groups.
        capabilities: Permitted or bounding capabilities, as a bit mask.
        no_new_privileges: 1 if no process in there can gain any.
        command: What runs as process 1.
        processes: How many ran, the probe that counted included.
        writes: Outcome of a write, by folder.
        health: The body of GET /health.
        ready_seconds: From start to the first 200 of GET /health.
        answer: What the model wrote.
        answer_seconds: How long it took.
        healthcheck_status: Exit status of the image's own HEALTHCHECK.
        stops: What SIGTERM did while it was idle, answering, starting.
    """

    uid: int
    gid: int
    groups: list[int]
    capabilities: int
    no_new_privileges: int
    command: list[str]
    processes: int
    writes: dict[str, str]
    health: dict[str, Any]
    ready_seconds: float
    answer: str
    answer_seconds: float
    healthcheck_status: int
    stops: dict[str, Stop]


def run_image(rootfs: Path, config: dict[str, Any], *, models: Path, model: str) -> RunFacts:
    """Run the image's own command three times: look at it and stop it idle, then answering, then still starting.

    Args:
        rootfs: The image's file system; it is mounted read-only.
        config: The image's configuration, as Docker writes it.
        models: Mounted read-only at /models.
        model: EMBEDDED_MODEL.

    Raises:
        ContainerError: it did not start, did not answer, or did not stop.
    """
    port = _free_port()
    environment = ["ENGINE=embedded", f"EMBEDDED_MODEL={model}", "APP_HOST=127.0.0.1", f"APP_PORT={port}"]

    @contextmanager
    def container() -> Generator[_Container, None, None]:
        with tempfile.TemporaryDirectory(prefix="container-") as folder:
            _write_bundle(Path(folder), rootfs, config, environment, models)
            with _Container(Path(folder)) as running:
                yield running

    with container() as running:
        facts = _look(running, config, port)
        idle = running.stop()
    with container() as running:
        answering = _stop_answering(running, port)
    with container() as running:
        running.wait_started()
        starting = running.stop()
    return RunFacts(**facts, stops={"idle": idle, "answering": answering, "starting": starting})


def _look(container: "_Container", config: dict[str, Any], port: int) -> dict[str, Any]:
    """Everything but the stops."""
    ready_seconds, health = _wait_healthy(container, port)
    asked = time.monotonic()
    status, answer = _request(port, "POST", "/api/chat/completions", _QUESTION)
    if status != http.HTTPStatus.OK:
        raise ContainerError(f"A chat was answered {status}: {answer}")
    answer_seconds = time.monotonic() - asked
    probe = container.execute(["python", "-c", _PROBE])
    if probe.returncode != 0:
        raise ContainerError(f"The probe failed in the container: {probe.stderr}")
    return {
        **json.loads(probe.stdout),
        "health": health,
        "ready_seconds": round(ready_seconds, 2),
        "answer": answer["content"],
        "answer_seconds": round(answer_seconds, 2),
        "healthcheck_status": container.execute(config["Healthcheck"]["Test"][1:]).returncode,
    }


def _stop_answering(container: "_Container", port: int) -> Stop:
    """Stop it in the middle of a streamed answer that it cannot finish in time."""
    _wait_healthy(container, port)
    with _connected(port) as connection:
        body = json.dumps(_LONG_QUESTION)
        connection.request("POST", "/api/chat/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK or not answer.readline():
            raise ContainerError(f"A streamed chat was answered {answer.status}.")
        return container.stop()


class _Container:
    """One container under runc, gone when the ``with`` block ends."""

    def __init__(self, bundle: Path) -> None:
        self._id = f"llm-service-{uuid.uuid4().hex[:12]}"
        self._runc = ["runc", "--root", str(bundle / "state")]
        self._bundle = bundle
        self._log = bundle / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._runc, "run", "--bundle", str(self._bundle), self._id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        subprocess.run([*self._runc, "delete", "--force", self._id], capture_output=True, check=False)
        if process is not None and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        """The end of what it has printed, without our own requests."""
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if '"logger": "access"' not in line][-30:])

    def require_running(self) -> None:
        """Raise if it has ended."""
        status = self._process.poll() if self._process else None
        if status is not None:
            raise ContainerError(f"The container ended by itself with status {status}:\n{self.log}")

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its own user, as a health check is run."""
        return subprocess.run(
            [*self._runc, "exec", self._id, *command], capture_output=True, text=True, timeout=30, check=False
        )

    def wait_started(self) -> None:
        """Wait until process 1 has started another: from then on it passes signals on."""
        deadline = time.monotonic() + _START_WITHIN
        while len(self._pids()) < 2:  # noqa: PLR2004  process 1 and the service
            self.require_running()
            if time.monotonic() > deadline:
                raise ContainerError(f"The service was not started within {_START_WITHIN:.0f} s:\n{self.log}")
            time.sleep(0.01)

    def stop(self) -> Stop:
        """SIGTERM to process 1, as ``docker stop`` sends it."""
        if self._process is None:
            raise ContainerError("The container was not started.")
        pids = self._pids()
        started = time.monotonic()
        subprocess.run([*self._runc, "kill", self._id, signal.SIGTERM.name], check=True)
        try:
            status = self._process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            raise ContainerError(f"SIGTERM did not end it within {_STOP_WITHIN:.0f} s:\n{self.log}") from None
        took = time.monotonic() - started
        return Stop(round(took, 2), status, sum(Path(f"/proc/{pid}").exists() for pid in pids))

    def _pids(self) -> list[int]:
        """Its processes, by the host's numbers; none while it is being set up."""
        command = [*self._runc, "ps", "--format", "json", self._id]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return json.loads(done.stdout) or [] if done.returncode == 0 else []


def _write_bundle(bundle: Path, rootfs: Path, config: dict[str, Any], environment: Sequence[str], models: Path) -> None:
    """What ``docker run --read-only --cap-drop ALL --security-opt no-new-privileges`` does, on the default of runc."""
    subprocess.run(["runc", "spec", "--bundle", str(bundle)], check=True)
    path = bundle / "config.json"
    spec: dict[str, Any] = json.loads(path.read_text("utf-8"))
    uid, _, gid = str(config["User"]).partition(":")
    spec["root"] = {"path": str(rootfs), "readonly": True}
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid)},
        "args": [*(config.get("Entrypoint") or []), *config["Cmd"]],
        "env": [*config["Env"], *environment],
        "cwd": config["WorkingDir"],
        "capabilities": {},
        "noNewPrivileges": True,
    }
    spec["linux"]["namespaces"] = [{"type": name} for name in _PRIVATE_NAMESPACES]
    spec["mounts"] += [
        {
            "destination": "/tmp",  # noqa: S108  the container's own
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "noexec", "mode=1777", "size=64m"],
        },
        {"destination": "/models", "type": "bind", "source": str(models), "options": ["rbind", "ro"]},
    ]
    path.write_text(json.dumps(spec), "utf-8")


def _wait_healthy(container: _Container, port: int) -> tuple[float, dict[str, Any]]:
    """Seconds until GET /health says 200, and its body."""
    started = time.monotonic()
    last = "no connection"
    while (waited := time.monotonic() - started) < _READY_WITHIN:
        container.require_running()
        with suppress(OSError, http.client.HTTPException):
            status, body = _request(port, "GET", "/health")
            if status == http.HTTPStatus.OK:
                return waited, body
            last = f"{status} {body}"
        time.sleep(0.1)
    raise ContainerError(f"GET /health was not 200 within {_READY_WITHIN:.0f} s ({last}):\n{container.log}")


def _request(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    with _connected(port) as connection:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def _connected(port: int) -> Generator[http.client.HTTPConnection, None, None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
