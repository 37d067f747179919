"""A service that is watched in every way, and what can be seen of it."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.simulator.sim_harness import FAST, Simulator
from tests.support.service import Service, wait_until

CHAT = "/api/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "인사해 주세요."}]}


@contextmanager
def service_of(engine: Simulator, **settings: str) -> Generator[Service]:
    """A service in front of ``engine``."""
    address = {
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(engine.port),
        "MAX_MODEL_LEN": str(FAST["context_length"]),
    }
    with Service(environment=address | settings) as service:
        yield service.wait_healthy()


def lines_of(service: Service) -> list[dict[str, Any]]:
    """Every line of its log that is JSON."""
    return [json.loads(line) for line in service.text().splitlines() if line.startswith("{")]


def access_line(service: Service, request_id: str) -> dict[str, Any]:
    """The one line of a request, once it is there."""

    def found() -> list[dict[str, Any]]:
        return [one for one in lines_of(service) if one["logger"] == "access" and one.get("id") == request_id]

    wait_until(found, 5, f"the access line of {request_id}")
    (line,) = found()
    return line


def records_in(folder: Path) -> list[dict[str, Any]]:
    """All decision records below ``folder``, in the order of their files."""
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().splitlines()]


class Figures:
    """What /metrics shows at one moment."""

    def __init__(self, service: Service) -> None:
        text = httpx2.get(f"{service.url}/metrics").raise_for_status().text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of ``name`` that have ``labels``."""
        return sum(s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items())

    def labels(self, name: str) -> list[Mapping[str, str]]:
        """The labels of every sample of ``name``."""
        return [sample.labels for sample in self._samples if sample.name == name]

    def __len__(self) -> int:
        return len(self._samples)
