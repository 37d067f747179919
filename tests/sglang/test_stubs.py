"""The stand-ins for what a CPU has not are what PyTorch takes them for."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.sglang.conftest import CPU_INSTALL

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(120)]

PROBE = "import torch._dynamo.utils as u; print([t for t in u.common_constant_types if not isinstance(t, type)])"


def test_every_constant_type_that_pytorch_compares_with_is_a_type(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(CPU_INSTALL / "stubs")}
    done = subprocess.run(
        [installed, "-W", "ignore", "-c", PROBE], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
