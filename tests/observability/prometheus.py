"""A real Prometheus with the shipped rules, which watches whatever it is told to."""

import json
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from simulator.ports import free_port
from tests.support.service import ROOT, wait_until

SHIPPED = ROOT / "deploy" / "observability"


def alert_names() -> list[str]:
    """Every alert that is shipped."""
    rules: Any = yaml.safe_load((SHIPPED / "alerts.yml").read_text("utf-8"))
    return [rule["alert"] for group in rules["groups"] for rule in group["rules"]]


class Prometheus:
    """One server; the shipped configuration, looked at every second, and rules that fire after one second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._targets: dict[str, list[str]] = {"llm-service": [], "sglang": []}
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=10)
        shipped: Any = yaml.safe_load((SHIPPED / "prometheus.yml").read_text("utf-8"))
        shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
        for job in shipped["scrape_configs"]:
            del job["static_configs"]
            job["file_sd_configs"] = [{"files": [f"{job['job_name']}.json"], "refresh_interval": "1s"}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(shipped))
        rules = (SHIPPED / "alerts.yml").read_text("utf-8")
        (folder / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 1s", rules))
        self._write()

    @contextmanager
    def running(self) -> Generator[None]:
        """While the block runs."""
        command = [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with (self._folder / "output.txt").open("wb") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
        try:
            wait_until(self._ready, 60, "Prometheus ready")
            yield
        finally:
            self._client.close()
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def _ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False

    @contextmanager
    def watching(self, job: str, port: int) -> Generator[str]:
        """Scrape a port while the block runs; yields the name of the instance."""
        instance = f"127.0.0.1:{port}"
        self._targets[job].append(instance)
        self._write()
        try:
            wait_until(lambda: self.query(f'up{{instance="{instance}"}} == 1'), 30, f"{instance} scraped")
            yield instance
        finally:
            self._targets[job].remove(instance)
            self._write()

    def query(self, expression: str) -> list[Any]:
        """The series of an instant query."""
        answer: Any = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def firing(self, instance: str) -> set[str]:
        """The alerts that fire for an instance."""
        found = self.query(f'ALERTS{{alertstate="firing",instance="{instance}"}}')
        return {one["metric"]["alertname"] for one in found}

    def _write(self) -> None:
        for job, targets in self._targets.items():
            beside = self._folder / f"{job}.new"
            beside.write_text(json.dumps([{"targets": targets}]))
            beside.rename(self._folder / f"{job}.json")
