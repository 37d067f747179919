"""The command that starts SGLang is one that SGLang accepts."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sglang.conftest import CPU_INSTALL
from tests.support.service import LLM_SERVICE, clean_environment

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(600)]

SETTINGS = {
    "default": {},
    "FP8": {"MODEL_NAME": "Qwen/Qwen3-32B-FP8", "MAX_MODEL_LEN": "16384"},
    "four GPUs": {"TENSOR_PARALLEL_SIZE": "4"},
    "CPU": {"DEVICE": "cpu", "MODEL_NAME": "Qwen/Qwen2.5-1.5B-Instruct"},
    "local path": {"MODEL_NAME": "./models/my-model"},
    "API key": {"SGLANG_API_KEY": "secret-key"},
}


def dry_run(**settings: str) -> str:
    done = subprocess.run(
        [str(LLM_SERVICE), "engine", "--dry-run", "--", "--mem-fraction-static", "0.85"],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_every_flag_of_six_settings_is_accepted_by_the_real_parser(installed: Path) -> None:
    assert installed.exists()
    commands = [shlex.split(dry_run(**settings))[1:] for settings in SETTINGS.values()]
    arguments = [command[command.index("sglang.launch_server") + 1 :] for command in commands]
    done = subprocess.run(
        [sys.executable, str(CPU_INSTALL / "check_flags.py")],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_flag_that_sglang_does_not_have_is_noticed(installed: Path) -> None:
    assert installed.exists()
    done = subprocess.run(
        [sys.executable, str(CPU_INSTALL / "check_flags.py"), "--", "--model-path", "x", "--enable-telepathy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "--enable-telepathy" in done.stdout + done.stderr


@pytest.mark.parametrize(("flags", "numbers"), [("fma avx512f amx_bf16", "bfloat16"), ("fma avx512f", "float32")])
def test_the_cpu_server_computes_in_numbers_that_the_processor_has(flags: str, numbers: str) -> None:
    program = f"import serve; print(serve.dtype({flags!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=CPU_INSTALL, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == numbers
