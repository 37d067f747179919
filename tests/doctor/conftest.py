"""One simulated SGLang for all faults, healthy at the start of each test, and stand-ins for hardware."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.simulator.sim_harness import FAST, Simulator, running

HEALTHY = FAST | {
    "model_id": "Qwen/Qwen3-32B",
    "context_length": 32768,
    "max_queued": 16,
    "tps": 200.0,
    "grammar_backend": "llguidance",
}


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    with running(HEALTHY) as simulator:
        yield simulator


@pytest.fixture
def sglang(_simulator: Simulator) -> Iterator[Simulator]:
    """A healthy SGLang that the test may break."""
    yield _simulator
    _simulator.client.post("/_sim/reset").raise_for_status()
    _simulator.configure(**{"api_key": None, **HEALTHY})


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts an nvidia-smi on PATH that prints these lines and ends with this status: stands for GPUs we do not have."""

    def install(*lines: str, status: int = 0) -> None:
        folder = tmp_path / "driver"
        folder.mkdir()
        (folder / "output").write_text("".join(f"{line}\n" for line in lines))
        program = folder / "nvidia-smi"
        program.write_text(f'#!/bin/sh\n/bin/cat "{folder}/output"\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return install
