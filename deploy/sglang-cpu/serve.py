"""Starts a real SGLang server on the CPU; the first run installs it and makes its model.

    python3.11 deploy/sglang-cpu/serve.py --port 30000 [--api-key KEY] [-- FLAG ...]

Flags after `--` go to SGLang as they are and win over the ones chosen here; only the address cannot be
changed. Prints one line on standard output when the server has answered a first generation; SGLang's own log
goes to standard error. The server stops with this process: on SIGTERM or Ctrl-C in order, after a kill by
the kernel, and when the process that started this one ends.
"""

import argparse
import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import install
import layout
import make_model

LOOPBACK = "127.0.0.1"
POLL_S = 0.25
ANSWER_S = 60
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

# What differs from SGLang's defaults because there is no GPU: kernels from PyTorch, no graph capture, and a
# small cache (the default takes half the memory of the machine and a minute to allocate).
CPU_FLAGS = (
    *("--device", "cpu", "--attention-backend", "torch_native", "--sampling-backend", "pytorch"),
    *("--cuda-graph-backend-decode", "disabled", "--cuda-graph-backend-prefill", "disabled"),
    *("--max-total-tokens", "16384", "--max-running-requests", "16"),
)
# What the service relies on in production too.
SERVICE_FLAGS = (
    *("--enable-metrics", "--enable-cache-report", "--enable-priority-scheduling"),
    *("--max-queued-requests", "64"),
    *("--grammar-backend", "llguidance"),
    *("--default-chat-template-kwargs", '{"enable_thinking": false}'),
)


class Stop(Exception):
    """The server is to be stopped; raised by the signal handlers."""


def command(chosen: argparse.Namespace) -> list[str]:
    """Builds SGLang's command line.

    Args:
        chosen: The parsed options of this command.

    Returns:
        The arguments; of two equal flags SGLang takes the later one.
    """
    launch = [str(layout.python_of(chosen.venv)), "-W", "ignore", "-m", "sglang.launch_server"]
    model = ["--model-path", str(chosen.model_path), "--served-model-name", chosen.served_model_name]
    key = ["--api-key", chosen.api_key] if chosen.api_key else []
    numbers = ["--dtype", dtype(Path("/proc/cpuinfo").read_text())]
    # Last, so that nothing after `--` can open the server to the network.
    address = ["--host", LOOPBACK, "--port", str(chosen.port)]
    return [*launch, *model, *CPU_FLAGS, *numbers, *SERVICE_FLAGS, *key, *chosen.sglang_flags, *address]


def dtype(processors: str) -> str:
    """Chooses the numbers to compute with: emulated, bfloat16 reads a prompt at half the speed of float32.

    Measured on two cores of 2.5 GHz with AVX-512 and without bf16: 98 and 220 prompt tokens a second.

    Args:
        processors: What the kernel says of the processors (/proc/cpuinfo).

    Returns:
        SGLang's name for them.
    """
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(processors.split()) else "float32"


def start(arguments: list[str], rendezvous: Path) -> subprocess.Popen[bytes]:
    """Starts the server as the leader of a session, by which all its processes can be found again.

    Args:
        arguments: SGLang's command line.
        rendezvous: A file that does not exist yet, by which its workers meet.

    Returns:
        The started server.
    """
    # By default the workers meet at a TCP port that is open on every address of the machine, even for one worker.
    meeting = {"SGLANG_DISTRIBUTED_INIT_METHOD_OVERRIDE": rendezvous.as_uri()}
    return subprocess.Popen(
        arguments,
        env=layout.engine_environment() | meeting,
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  (safe: this process has one thread)
    )


def _die_with_parent() -> None:
    # The kernel ends the server if this process is killed; SGLang's workers do the same after their parent.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_ready(server: subprocess.Popen[bytes], chosen: argparse.Namespace, parent: int) -> None:
    """Waits until the server has generated a token.

    Args:
        server: The started server.
        chosen: The parsed options of this command.
        parent: The process whose end stops the server.

    Raises:
        SetupError: If the server ends, or is not ready in time.
        Stop: If the parent has ended.
    """
    deadline = time.monotonic() + chosen.ready_timeout
    while not answers(chosen, "GET", "/model_info", None):
        _check_alive(server, parent)
        if time.monotonic() > deadline:
            raise layout.SetupError(f"The server was not ready after {chosen.ready_timeout:.0f} s.")
        time.sleep(POLL_S)
    # /model_info answers before the first generation, which is the one that warms up and can fail.
    probe = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}
    if not answers(chosen, "POST", "/v1/chat/completions", probe):
        raise layout.SetupError("The server started but cannot generate; its log says why.")


def _check_alive(server: subprocess.Popen[bytes], parent: int) -> None:
    if server.poll() is not None:
        raise layout.SetupError(f"SGLang ended with status {server.returncode}; its log says why.")
    if os.getppid() != parent:
        raise Stop


def answers(chosen: argparse.Namespace, method: str, path: str, body: object) -> bool:
    """Tells whether the server answers a request with 200.

    Args:
        chosen: The parsed options of this command.
        method: The HTTP method.
        path: The path.
        body: What to send as JSON, or None.

    Returns:
        False also if nothing listens yet.
    """
    headers = {"Authorization": f"Bearer {chosen.api_key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(LOOPBACK, chosen.port, timeout=ANSWER_S)
    with contextlib.closing(connection):
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def stop(server: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ends the server: in order while the grace lasts, then every process of its session.

    Args:
        server: The started server.
        grace_s: How long running requests may take to finish.
    """
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(grace_s)
    for pid in session_of(server.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.wait()


def session_of(leader: int) -> list[int]:
    """Finds the processes of a session, which outlive its leader.

    Args:
        leader: The process that started the session.

    Returns:
        Their ids.
    """
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(ProcessLookupError, ValueError):
            pid = int(entry.name)
            found += [pid] if os.getsid(pid) == leader else []
    return found


def check_port(port: int) -> None:
    """Refuses a port that is taken: the wait for readiness would otherwise greet a stranger.

    Args:
        port: The port on the loopback address.

    Raises:
        SetupError: If it cannot be bound.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise layout.SetupError(f"Port {port} cannot be used: {error.strerror}.") from error


def serve(chosen: argparse.Namespace) -> int:
    """Installs what is missing and runs the server until it is told to stop.

    Args:
        chosen: The parsed options of this command.

    Returns:
        The exit status.

    Raises:
        SetupError: If the server cannot be brought up.
    """
    parent = os.getppid()
    check_port(chosen.port)
    install.install(chosen.venv)
    # Another folder holds the user's own model, which is not ours to make.
    if chosen.model_path == layout.MODEL:
        make_model.make(chosen.model_path, chosen.venv)
    with tempfile.TemporaryDirectory(prefix="sglang-cpu-") as scratch:
        return run(chosen, Path(scratch) / "rendezvous", parent)


def run(chosen: argparse.Namespace, rendezvous: Path, parent: int) -> int:
    """Runs an installed server until it is told to stop.

    Args:
        chosen: The parsed options of this command.
        rendezvous: A file that does not exist yet.
        parent: The process whose end stops the server.

    Returns:
        The exit status.

    Raises:
        SetupError: If the server cannot be brought up.
    """
    started = time.monotonic()
    server = start(command(chosen), rendezvous)
    try:
        wait_ready(server, chosen, parent)
        install.say(
            f"ready: http://{LOOPBACK}:{chosen.port} model={chosen.served_model_name} pid={server.pid} "
            f"after {time.monotonic() - started:.1f} s"
        )
        while True:
            _check_alive(server, parent)
            time.sleep(POLL_S)
    except Stop:
        return 0
    finally:
        # A second signal must not interrupt the clean-up.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stop(server, chosen.stop_timeout)


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    raise Stop


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parses the command line.

    Args:
        arguments: The arguments without the program's name.

    Returns:
        The options; `sglang_flags` holds what came after `--`.
    """
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], epilog="Flags after `--` go to SGLang."
    )
    option = parser.add_argument
    option("--port", type=int, default=30000, help="port on the loopback address (default: %(default)s)")
    option("--api-key", default="", help="ask callers for this bearer token")
    option("--model-path", type=Path, default=layout.MODEL, help="model folder (default: the one made here)")
    option("--served-model-name", default=layout.SERVED_NAME, help="name in answers (default: %(default)s)")
    option("--venv", type=Path, default=layout.VENV, help="install to use (default: the one made here)")
    option("--ready-timeout", type=float, default=300, help="seconds to become ready (default: %(default)s)")
    option("--stop-timeout", type=float, default=20, help="seconds to finish on SIGTERM (default: %(default)s)")
    return parser.parse_args(arguments[:split], argparse.Namespace(sglang_flags=arguments[split + 1 :]))


def main() -> int:
    """Runs the command line.

    Returns:
        The exit status.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _on_signal)
    try:
        return serve(parse(sys.argv[1:]))
    except Stop:
        return 0
    except (layout.SetupError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
