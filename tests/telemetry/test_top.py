"""The live view, as an operator sees it."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.telemetry.top import Look, quantile
from simulator.ports import free_port
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.prompts import step_prompt
from tests.support.service import LLM_SERVICE, Service, clean_environment, wait_until
from tests.telemetry.watched import CHAT, HELLO, service_of


def top(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What the command prints."""
    return subprocess.run(
        [str(LLM_SERVICE), "top", "--once", *arguments],
        env=clean_environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_service_at_work_is_ok_and_its_tasks_have_figures(service: Service, engine: Simulator) -> None:
    engine.configure(ttft=0.01)
    with ThreadPoolExecutor(2) as pool:
        shown = pool.submit(top, service.url, "--interval", "3")
        while not shown.done():
            service.post("/api/interview/step", step_prompt())
    said = shown.result().stdout
    assert said.startswith("ok")
    (row,) = [line.split() for line in said.splitlines() if line.strip().startswith("interview_step")]
    assert float(row[1]) > 0  # requests a second
    assert "s" in row[4:6]


def test_requests_that_wait_are_told_as_load() -> None:
    with running(FAST) as engine, service_of(engine, MAX_CONCURRENCY="1") as service, ThreadPoolExecutor(6) as pool:
        engine.configure(ttft=3)
        calls = [pool.submit(service.post, CHAT, HELLO) for _ in range(4)]
        engine.wait(running=1)
        assert top(service.url, "--interval", "0.5").stdout.startswith("LOAD")
        engine.configure(ttft=0)
        for call in calls:
            call.result()


def test_an_engine_that_is_away_is_told_as_engine() -> None:
    with running(FAST) as engine, service_of(engine) as service:
        engine.fault("restart", seconds=30)
        wait_until(lambda: service.health_status() == 503, 10, "the outage seen")
        assert top(service.url, "--interval", "0.5").stdout.startswith("ENGINE")


def test_no_service_is_one_sentence() -> None:
    ended = top(f"http://127.0.0.1:{free_port()}")
    assert ended.returncode == 1
    assert "Is the service running" in ended.stdout
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.parametrize(("part", "expected"), [(0.5, 1.0), (0.95, 1.9), (1.0, 2.0)])
def test_quantiles_are_those_of_what_came_between_two_looks(part: float, expected: float) -> None:
    before = {1.0: 10.0, 2.0: 10.0, float("inf"): 10.0}
    after = {1.0: 60.0, 2.0: 110.0, float("inf"): 110.0}
    assert quantile(before, after, part) == pytest.approx(expected)


def test_nothing_between_two_looks_has_no_quantile() -> None:
    assert quantile({1.0: 3.0}, {1.0: 3.0}, 0.5) is None
    assert Look(0.0).sum("anything") == 0
