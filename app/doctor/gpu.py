"""GPUs and their driver, as nvidia-smi tells them."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from app.doctor.checks import Check, ok, problem, warning

GPU, DRIVER = "GPU", "GPU driver"
_QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
_LIMIT = 15.0
_CUDA_13_DRIVER = 580
_INSTALL = "Install the NVIDIA driver (in a container: run it with --gpus all), or set DEVICE=cpu or ENGINE=embedded."


class NoGpuError(Exception):
    """No GPU can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Attributes:
        name: As its maker calls it.
        memory: Bytes, or None if it shares the machine's.
        driver: Version of the driver.
    """

    name: str
    memory: float | None
    driver: str


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine.

    Raises:
        NoGpuError: there is none, or its driver does not work.
    """
    path = shutil.which("nvidia-smi")
    if path is None:
        raise NoGpuError("nvidia-smi is not here, so there is no NVIDIA GPU or no driver.")
    try:
        done = subprocess.run(  # noqa: S603  found on PATH, fixed arguments
            [path, *_QUERY], capture_output=True, text=True, check=False, timeout=_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise NoGpuError(f"nvidia-smi does not answer within {_LIMIT:.0f} s: the driver hangs.") from None
    except OSError as error:
        raise NoGpuError(f"nvidia-smi cannot be run: {error.strerror}.") from None
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split()) or f"exit status {done.returncode}"
        raise NoGpuError(f"nvidia-smi fails: {said}")
    if gpus := parse_gpus(done.stdout):
        return gpus
    raise NoGpuError("nvidia-smi lists no GPU.")


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """nvidia-smi's CSV: a GPU a line, memory in MiB."""
    rows = (tuple(field.strip() for field in line.rsplit(",", 2)) for line in text.splitlines())
    return tuple(Gpu(row[0], _bytes(row[1]), row[2]) for row in rows if len(row) == 3)  # noqa: PLR2004  as asked for


def _bytes(mebibytes: str) -> float | None:
    return float(mebibytes) * 1024 * 1024 if re.fullmatch(r"[\d.]+", mebibytes) else None


def no_gpu_check(reason: str) -> Check:
    """A GPU is needed, and there is none."""
    return problem(GPU, reason, _INSTALL)


def gpu_checks(gpus: Sequence[Gpu], tensor_parallel: int) -> list[Check]:
    """Whether there are enough GPUs, and their driver is new enough."""
    names = ", ".join(
        f"{gpu.name} ({'shared memory' if gpu.memory is None else f'{gpu.memory / 1e9:.0f} GB'})" for gpu in gpus
    )
    if len(gpus) < tensor_parallel:
        enough = problem(
            GPU,
            f"{len(gpus)} found ({names}), but TENSOR_PARALLEL_SIZE={tensor_parallel}.",
            f"Set TENSOR_PARALLEL_SIZE={len(gpus)} or make more GPUs visible.",
        )
    else:
        enough = ok(GPU, f"{names}.")
    return [enough, _driver_check(gpus[0].driver)]


def _driver_check(version: str) -> Check:
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < _CUDA_13_DRIVER:
        return warning(
            DRIVER,
            f"{version}; SGLang 0.5.20 and later are built for CUDA 13.",
            f"Install driver {_CUDA_13_DRIVER} or later.",
        )
    return ok(DRIVER, f"{version}.")


def smallest_memory(gpus: Sequence[Gpu], tensor_parallel: int) -> float | None:
    """Bytes of the smallest GPU among those that share the model; None if one of them does not say."""
    sizes = [gpu.memory for gpu in gpus[:tensor_parallel]]
    known = [size for size in sizes if size is not None]
    return min(known) if len(known) == len(sizes) else None
