"""Where the parts of the CPU install live, and the one environment they run in. Standard library only."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STUBS = HERE / "stubs"
VENV = Path(os.environ.get("SGLANG_CPU_VENV", ROOT / ".venv-sglang"))
MODEL = ROOT / "models" / "sglang-cpu"
SERVED_NAME = "smollm2-135m-instruct"


class SetupError(Exception):
    """A step cannot be done; its text tells the user in one sentence what to do about it."""


def python_of(venv: Path) -> Path:
    """Returns the interpreter of a virtual environment."""
    return venv / "bin" / "python"


def engine_environment() -> dict[str, str]:
    """Builds the environment for every process that imports SGLang here.

    Returns:
        The caller's environment with the stand-ins on the path, the CPU engine chosen and every hub switched
        off. Thread settings that the caller made are kept.
    """
    # One thread: on two busy cores a second OpenMP thread spins against the tokenizer and the HTTP process,
    # and generation falls to a tenth. The last core, because the others' work starts on the first.
    last_core = str(max(os.sched_getaffinity(0)))
    chosen = {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "SGLANG_CPU_OMP_THREADS_BIND": os.environ.get("SGLANG_CPU_OMP_THREADS_BIND", last_core),
    }
    fixed = {
        "SGLANG_USE_CPU_ENGINE": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": str(STUBS),
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **chosen, **fixed}
