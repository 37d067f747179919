"""A real Prometheus scrapes the service; every alert fires when its cause is there, and not before."""

import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.observability.causes import CAUSES, Scene
from tests.observability.prometheus import SHIPPED, Prometheus, alert_names
from tests.simulator.sim_harness import FAST, running
from tests.support.service import ROOT, wait_until
from tests.telemetry.watched import service_of

pytestmark = pytest.mark.prometheus


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    with server.running():
        yield server


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    for check in (["rules", "alerts.yml"], ["config", "prometheus.yml"]):
        done = subprocess.run(["promtool", "check", *check], cwd=SHIPPED, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_cause_here_and_a_section_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    sections = {
        match[1]: match[2] for match in re.finditer(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL)
    }
    assert set(alert_names()) == set(CAUSES)
    for name in alert_names():
        assert all(f"**{part}**" in sections[name] for part in ("Meaning", "First look", "Action")), name
        assert f"docs/runbook.md#{name.lower()}" in (SHIPPED / "alerts.yml").read_text("utf-8")


@pytest.mark.parametrize("name", alert_names())
def test_an_alert_fires_when_its_cause_is_there_and_not_before(name: str, prometheus: Prometheus) -> None:
    cause = CAUSES[name]
    with (
        running({**FAST, **cause.engine}) as engine,
        service_of(engine, LOG_LEVEL="ERROR", **cause.service) as service,
        prometheus.watching("llm-service", service.port) as instance,
    ):
        scene = Scene(service, engine)
        scene.ask()
        assert name not in prometheus.firing(instance)
        over = threading.Event()

        def provoke() -> None:
            cause.begin(scene)
            while not over.is_set():
                cause.go_on(scene)

        with ThreadPoolExecutor(1) as pool:
            provoking = pool.submit(provoke)
            try:
                wait_until(lambda: provoking.done() or name in prometheus.firing(instance), 90, f"{name} fires")
            finally:
                over.set()
            provoking.result()
            assert name in prometheus.firing(instance)
