"""The command that starts the embedded engine."""

import os
import sys
from pathlib import Path

from app.engines.supervisor import EngineCommand


def llamacpp_command(model: Path, *, context: int, slots: int, api_key: str) -> EngineCommand:
    """The embedded engine on a GGUF file, on all cores of this process.

    Args:
        model: The GGUF file.
        context: Tokens that one request may use, prompt and answer together.
        slots: Requests generated at the same time; further ones wait inside the engine.
        api_key: The key it asks for: other users of this machine can reach its loopback port too.
    """
    return EngineCommand(
        argv=[
            sys.executable,
            "-m",
            "app.engines.llamacpp_child",
            *("--model", str(model)),
            *("--context", str(context)),
            *("--slots", str(slots)),
            *("--threads", str(len(os.sched_getaffinity(0)))),
            *("--parent", str(os.getpid())),
        ],
        # Spinning OpenMP threads on shared cores: measured 3.5 tokens/s, against 15-19 when they wait passively.
        environment={"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "ENGINE_API_KEY": api_key},
    )
