"""How the service starts and stops as a process."""

import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from simulator.ports import free_port
from tests.simulator.sim_harness import FAST, running
from tests.support.service import LLM_SERVICE, ROOT, Service, clean_environment, wait_until

SMALL = {"EMBEDDED_MODEL": "smollm2-135m"}


def run_serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a service that is expected to end by itself."""
    return subprocess.run(
        [str(LLM_SERVICE), "serve", *arguments],
        env=clean_environment(APP_HOST="127.0.0.1", **environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_service_and_engine(sign: signal.Signals) -> None:
    with Service("--embedded", environment=SMALL) as service:
        service.wait_healthy()
        engine = service.engine()
        assert service.stop(sign) == 0
        assert not engine.is_running()
        assert "Traceback" not in service.text()


def test_an_answer_that_outlives_the_shutdown_is_refused_in_words_and_docker_s_ten_seconds_are_kept() -> None:
    story = {"messages": [{"role": "user", "content": "Tell a very long story."}], "max_tokens": 1000}
    with running(FAST) as engine, ThreadPoolExecutor(1) as pool:
        environment = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(engine.port)}
        with Service(environment=environment) as service:
            service.wait_healthy()
            engine.configure(**(FAST | {"ttft": 600.0}))  # only now: a service is ready after a first generation
            call = pool.submit(service.post, "/api/chat/completions", story)
            engine.wait(running=1)
            started = time.monotonic()
            assert service.stop(signal.SIGTERM) == 0
            assert time.monotonic() - started < 10
            answer = call.result()
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "shutting down" in answer.json()["error"]["message"]


def test_the_engine_dies_with_a_service_that_is_killed() -> None:
    with Service("--embedded", environment=SMALL) as service:
        service.wait_healthy()
        engine = service.engine()
        service.stop(signal.SIGKILL)
        wait_until(lambda: not _alive(engine), 5, "the engine gone")


def test_the_engine_dies_with_a_service_that_is_killed_while_it_starts() -> None:
    with Service("--embedded", environment=SMALL) as service:
        wait_until(lambda: psutil.Process(service.process.pid).children(), 30, "an engine process")
        engine = service.engine()
        service.stop(signal.SIGKILL)
        wait_until(lambda: not _alive(engine), 5, "the engine gone")


def test_an_engine_that_is_killed_comes_back_and_calls_wait_for_it() -> None:
    with Service("--embedded", environment=SMALL) as service:
        service.wait_healthy()
        engine = service.engine()
        engine.kill()
        wait_until(lambda: service.health_status() == 503, 5, "health red")
        assert int(httpx2.get(f"{service.url}/health").headers["retry-after"]) >= 1
        assert httpx2.get(f"{service.url}/health/live").status_code == 200
        answer = service.post("/api/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code == 200  # there was time to wait for the engine
        service.wait_healthy()
        assert service.engine().pid != engine.pid


def test_the_banner_says_where_it_is_and_what_to_try() -> None:
    with Service("--embedded", environment=SMALL) as service:
        service.wait_healthy()
        wait_until(lambda: "Ctrl-C" in service.text(), 10, "the banner")
        for part in (service.url, f"{service.url}/docs", "embedded", "smollm2-135m", "curl -s"):
            assert part in service.text()


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = run_serve(APP_PORT=port)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "APP_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("APP_PORT", "99999"), ("DEVICE", "tpu"), ("DEFAULT_TEMPERATURE", "nan"), ("REQUEST_TIMEOUT", "-1")],
)
def test_a_wrong_setting_is_refused_by_name(variable: str, value: str) -> None:
    done = run_serve(**{variable: value})
    assert done.returncode == 1
    assert f"{variable}=" in done.stderr
    assert value in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_embedded_model_is_refused_with_the_known_ones() -> None:
    done = run_serve("--embedded", APP_PORT=str(free_port()), EMBEDDED_MODEL="gpt-9")
    assert done.returncode == 1
    assert "gpt-9" in done.stderr
    assert "qwen2.5-coder-1.5b" in done.stderr
    assert "Traceback" not in done.stderr


def test_any_gguf_file_can_be_the_model(tmp_path: Path) -> None:
    model = tmp_path / "my-model.gguf"
    shutil.copy(ROOT / "models" / "smollm2-135m.gguf", model)
    with Service("--embedded", environment={"EMBEDDED_MODEL": str(model), "MAX_MODEL_LEN": "2048"}) as service:
        service.wait_healthy()
        assert httpx2.get(f"{service.url}/health").json()["model"] == "my-model"


def test_uvicorn_can_start_the_app_by_its_name() -> None:
    port = free_port()
    process = subprocess.Popen(
        [
            str(LLM_SERVICE.parent / "python"),
            "-m",
            "uvicorn",
            "app.main:app",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        cwd=ROOT,
        env=clean_environment(SGLANG_PORT=str(free_port()), PATH=os.environ["PATH"]),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _status(port) == 503, 30, "an API without an engine")
        body = httpx2.get(f"http://127.0.0.1:{port}/health").json()
        assert body["status"] == "unhealthy"
        assert "nothing answers" in body["reason"]
    finally:
        process.terminate()
        process.wait(10)


def _status(port: int) -> int | None:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").status_code
    except httpx2.TransportError:
        return None


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
