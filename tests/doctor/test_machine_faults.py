"""Faults of the machine and of the settings: each is found, and its line names the fix."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from app.doctor.examination import SETTINGS, START
from app.doctor.generation import CONSTRAINED, SPEED
from app.doctor.gpu import DRIVER, GPU, parse_gpus
from app.doctor.machine import (
    DISK,
    LLAMACPP,
    MODEL_FILE,
    OPENMP,
    PORT,
    RAM,
    available_memory,
    memory_check,
    model_bytes,
    python_check,
)
from app.doctor.sizes import LENGTH, MEMORY
from simulator.ports import free_port
from tests.doctor.doctor_command import examined
from tests.simulator.sim_harness import Simulator
from tests.support.service import Service

A100 = "NVIDIA A100-SXM4-80GB, 81920, 580.95.05"
RTX_4090 = "NVIDIA GeForce RTX 4090, 24564, 580.95.05"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)


def test_a_python_that_is_too_old_asks_for_a_newer_one() -> None:
    check = python_check((3, 10, 14, "final", 0))
    assert check.level == "problem"
    assert "Install Python 3.11" in check.fix
    assert python_check((3, 11, 0, "final", 0)).level == "ok"
    assert python_check((3, 14, 1, "final", 0)).level == "ok"


@pytest.mark.parametrize(
    ("name", "value"),
    [("APP_PORT", "eighty"), ("DEVICE", "tpu"), ("MAX_MODEL_LEN", "12"), ("SGLANG_ARGS", "--json '{")],
)
def test_a_wrong_setting_is_a_line_with_its_name(tmp_path: Path, name: str, value: str) -> None:
    report = examined(tmp_path, **{name: value})
    assert (report.status, report.problems) == (1, [SETTINGS])
    assert f"Set {name} to an allowed value" in report.fix(SETTINGS)


def test_two_wrong_settings_are_two_lines(tmp_path: Path) -> None:
    report = examined(tmp_path, APP_PORT="eighty", DEVICE="tpu")
    assert report.problems == [SETTINGS, SETTINGS]


def test_a_port_that_another_program_uses_names_its_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        report = examined(tmp_path, APP_PORT=str(other.getsockname()[1]))
    assert (report.status, report.level(PORT)) == (1, "problem")
    assert "APP_PORT" in report.fix(PORT)


def test_a_port_that_this_service_uses_is_fine(sglang: Simulator, tmp_path: Path) -> None:
    engine = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(sglang.port)}
    with Service(environment=engine) as service:
        service.wait_healthy()
        report = examined(tmp_path, APP_PORT=str(service.port), **engine)
    assert (report.status, report.level(PORT)) == (0, "ok")
    assert "this service" in report.line(PORT)


def test_an_address_of_another_machine_names_its_variable(tmp_path: Path) -> None:
    report = examined(tmp_path, APP_HOST="192.0.2.1")
    assert report.level(PORT) == "problem"
    assert "APP_HOST" in report.fix(PORT)


def test_one_port_for_service_and_engine_is_a_problem(tmp_path: Path) -> None:
    port = str(free_port())
    report = examined(tmp_path, APP_PORT=port, SGLANG_PORT=port)
    assert f"APP_PORT and SGLANG_PORT are both {port}. Fix: Set one of them to another port." in report.output


def test_a_full_disk_names_its_variable(tmp_path: Path) -> None:
    report = examined(tmp_path, MODELS_DIR="/proc")  # a file system without any room
    assert (report.status, report.level(DISK)) == (1, "problem")
    assert "MODELS_DIR" in report.fix(DISK)


def test_no_driver_at_all_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    report = examined(tmp_path, DEVICE="cuda")
    assert (report.status, report.level(GPU)) == (1, "problem")
    assert "Install the NVIDIA driver" in report.fix(GPU)
    assert "DEVICE=cpu" in report.fix(GPU)


def test_a_driver_that_does_not_answer_is_a_problem(tmp_path: Path, nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi(NO_DRIVER, status=9)
    report = examined(tmp_path, DEVICE="cuda")
    assert (report.status, report.level(GPU)) == (1, "problem")
    assert NO_DRIVER in report.line(GPU)
    assert "Install the NVIDIA driver" in report.fix(GPU)


def test_an_old_driver_is_a_warning(tmp_path: Path, nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi("NVIDIA A100-SXM4-80GB, 81920, 535.183.01")
    report = examined(tmp_path, DEVICE="cuda")
    assert report.level(DRIVER) == "warning"
    assert "driver 580 or later" in report.fix(DRIVER)


def test_a_model_too_large_for_the_gpu_gives_the_ways_out(tmp_path: Path, nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi(RTX_4090)
    report = examined(tmp_path, DEVICE="cuda")
    assert (report.status, report.level(MEMORY)) == (1, "problem")
    assert "65.5 GB for its weights and 256 KiB of KV cache a token" in report.line(MEMORY)
    assert "TENSOR_PARALLEL_SIZE=8" in report.fix(MEMORY)
    assert "Qwen/Qwen3-32B-FP8" in report.fix(MEMORY)


def test_a_gpu_with_hardly_any_room_for_conversations_is_a_warning(
    tmp_path: Path, nvidia_smi: Callable[..., None]
) -> None:
    nvidia_smi(A100)
    report = examined(tmp_path, DEVICE="cuda")
    assert report.level(MEMORY) == "warning"
    assert "TENSOR_PARALLEL_SIZE=2" in report.fix(MEMORY)


def test_enough_gpus_are_fine(tmp_path: Path, nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi(A100, A100)
    report = examined(tmp_path, DEVICE="cuda", TENSOR_PARALLEL_SIZE="2")
    assert [report.level(title) for title in (GPU, DRIVER, MEMORY)] == ["ok"] * 3


def test_fewer_gpus_than_configured_are_a_problem(tmp_path: Path, nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi(A100)
    report = examined(tmp_path, DEVICE="cuda", TENSOR_PARALLEL_SIZE="4")
    assert (report.status, report.level(GPU)) == (1, "problem")
    assert "TENSOR_PARALLEL_SIZE=1" in report.fix(GPU)


def test_the_gpus_of_a_remote_engine_are_not_looked_for_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    report = examined(tmp_path, DEVICE="cuda", SGLANG_HOST="gpu-server.invalid")
    assert (report.level(GPU), report.level(MEMORY)) == ("ok", "ok")


def test_a_model_of_unknown_size_is_a_warning(tmp_path: Path, nvidia_smi: Callable[..., None]) -> None:
    nvidia_smi(A100)
    report = examined(tmp_path, DEVICE="cuda", MODEL_NAME="somebody/something")
    assert report.level(MEMORY) == "warning"
    assert "somebody/something" in report.line(MEMORY)


def test_a_context_longer_than_the_model_was_made_for_is_a_warning(tmp_path: Path) -> None:
    report = examined(tmp_path, MAX_MODEL_LEN="131072")
    assert report.level(LENGTH) == "warning"
    assert "MAX_MODEL_LEN=40960" in report.fix(LENGTH)
    assert "yarn" in report.fix(LENGTH)


def test_an_embedded_model_that_is_missing_names_the_command(tmp_path: Path) -> None:
    report = examined(tmp_path, ENGINE="embedded", MODELS_DIR=str(tmp_path / "models"))
    assert (report.status, report.problems) == (1, [MODEL_FILE])
    assert "llm-service fetch qwen2.5-coder-1.5b" in report.fix(MODEL_FILE)


def test_a_download_that_broke_off_is_said_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "models" / ".partial").mkdir(parents=True)
    report = examined(tmp_path, "--embedded", MODELS_DIR=str(tmp_path / "models"))
    assert "goes on where it stopped" in report.line(MODEL_FILE)


def test_no_room_for_the_embedded_model_is_a_problem(tmp_path: Path) -> None:
    report = examined(tmp_path, ENGINE="embedded", MODELS_DIR="/proc")
    assert report.level(DISK) == "problem"
    assert "MODELS_DIR" in report.fix(DISK)


def test_a_library_that_does_not_load_is_found_outside_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('libllama.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = examined(tmp_path, ENGINE="embedded")
    assert (report.status, report.problems) == (1, [LLAMACPP])
    assert "libllama.so" in report.line(LLAMACPP)
    assert "pip install -r requirements.txt" in report.fix(LLAMACPP)


def test_too_little_memory_for_the_embedded_model_is_a_problem() -> None:
    name = "qwen2.5-coder-1.5b"
    check = memory_check(name, model_bytes(name), 1e9)
    assert check.level == "problem"
    assert "needs about 2.5 GB, 1.0 GB are available" in check.detail
    assert "EMBEDDED_MODEL=qwen2.5-coder-0.5b" in check.fix
    assert available_memory() > 0


def test_nothing_is_wrong_with_the_embedded_engine(tmp_path: Path) -> None:
    report = examined(tmp_path, ENGINE="embedded", EMBEDDED_MODEL="smollm2-135m", MAX_MODEL_LEN="2048")
    assert report.status == 0, report.output
    assert {report.level(title) for title in (OPENMP, LLAMACPP, MODEL_FILE, RAM, START, CONSTRAINED)} == {"ok"}
    assert report.level(SPEED) in {"ok", "warning"}


def test_gpus_that_share_the_memory_of_the_machine_are_read() -> None:
    (gpu,) = parse_gpus("NVIDIA GB10, [N/A], 580.95.05\n")
    assert (gpu.name, gpu.memory, gpu.driver) == ("NVIDIA GB10", None, "580.95.05")
