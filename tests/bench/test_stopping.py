"""A benchmark that is stopped leaves nothing behind, however it is stopped."""

import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.service import ROOT, wait_until

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="the engine and the load generator are programs in C"
)


@needs_compiler
@pytest.mark.timeout(120)
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_benchmark(sign: signal.Signals) -> None:
    command = [sys.executable, "-m", "bench", "--only", "this service", "--rounds", "50"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as bench:
        try:
            assert bench.stdout is not None
            assert any("round 1 of 50: this service" in line for line in bench.stdout), (
                "it ended before its first round"
            )
            begun = psutil.Process(bench.pid).children(recursive=True)
            assert {"engine", "llm-service"} <= {child.name() for child in begun}
            bench.send_signal(sign)
            assert bench.wait(40) != 0
        finally:
            bench.kill()
    wait_until(lambda: not any(map(psutil.pid_exists, (child.pid for child in begun))), 10, "its children have ended")
