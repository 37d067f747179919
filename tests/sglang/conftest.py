"""The service with a real SGLang 0.5.23 that it starts itself, on the CPU."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.ports import free_port
from tests.support.service import ROOT, Service

CPU_INSTALL = ROOT / "deploy" / "sglang-cpu"
MODEL = ROOT / "models" / "sglang-cpu"
PYTHON = ROOT / ".venv-sglang" / "bin" / "python"
# What the CPU needs beyond the launcher's own flags: PyTorch's kernels, no graph capture, a small cache.
CPU_ARGS = (
    "--attention-backend torch_native --sampling-backend pytorch --max-total-tokens 16384 --max-running-requests 8 "
    "--cuda-graph-backend-decode disabled --cuda-graph-backend-prefill disabled"
)
SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ
CORE = os.environ.get("PYTEST_XDIST_WORKER", "1")[-1]  # an SGLang each, on a core each: two threads gain it nothing


def cpu_environment(port: int) -> dict[str, str]:
    """Settings with which `serve --with-engine` starts a real SGLang without a GPU."""
    return {
        "MODEL_NAME": str(MODEL),
        "DEVICE": "cpu",
        "LANGUAGE": "auto",
        "MAX_MODEL_LEN": "8192",
        "SGLANG_PORT": str(port),
        "SGLANG_API_KEY": "a-key-for-tests",
        "SGLANG_PYTHON": str(PYTHON),
        "SGLANG_ARGS": CPU_ARGS,
        "SGLANG_USE_CPU_ENGINE": "1",
        "SGLANG_CPU_OMP_THREADS_BIND": CORE,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONPATH": str(CPU_INSTALL / "stubs"),
        "REQUEST_TIMEOUT": "600",
        "FEEDBACK_TIMEOUT": "600",  # a CPU takes longer than the callers of a GPU wait
        "INTERVIEW_TIMEOUT": "600",
        "REPORT_TIMEOUT": "600",
    }


@pytest.fixture(scope="session", autouse=True)
def core() -> Iterator[None]:
    """What is started by itself stays on its core, too."""
    with pytest.MonkeyPatch.context() as patch:
        if SIDE_BY_SIDE:
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setenv("SGLANG_CPU_OMP_THREADS_BIND", CORE)
        yield


@pytest.fixture(scope="session")
def installed() -> Path:
    """SGLang's interpreter, with SGLang and the model in place."""
    for script in ("install.py", "make_model.py"):
        subprocess.run([sys.executable, str(CPU_INSTALL / script)], cwd=ROOT, check=True)
    return PYTHON


@pytest.fixture(scope="module")  # a file of its own may stop it: which worker runs which file is not said beforehand
def sglang_service(installed: Path) -> Iterator[Service]:
    """The service and the SGLang it started."""
    assert installed.exists()
    with Service("--with-engine", environment=cpu_environment(free_port())) as service:
        yield service.wait_healthy(240)
