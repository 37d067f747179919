"""Line 1, the other half: schemathesis with all its checks, from the OpenAPI document, over real sockets."""

import asyncio
import re
import sys
from pathlib import Path

from chaos.stage import stage
from chaos.verdict import Verdict
from fuzz.bodies import MODEL

_TOOL = Path(sys.executable).parent / "schemathesis"
_CONFIG = Path(__file__).parent / "schemathesis.toml"
# Without keys the API ignores them; /api ignores unknown fields, as its first callers need; and a schema cannot tell
# that a prompt is longer than the model's context, that a model is another one, or that 1.0 is no integer here.
_LEFT_OUT = "negative_data_rejection,positive_data_acceptance,ignored_auth"


async def schema(seed: int, first: int, count: int) -> Verdict:
    """Up to ``count`` examples for each operation and phase."""
    del first
    verdict = Verdict()
    settings = {"MODEL_NAME": MODEL, "LOG_LEVEL": "ERROR", "REQUEST_TIMEOUT": 30}
    async with stage({"slots": 64, "ttft": 0, "tps": 0, "typical_chars": 20}, settings) as (_, service):
        process = await asyncio.create_subprocess_exec(
            *(
                str(_TOOL),
                "--config-file",
                str(_CONFIG),
                "run",
                f"http://127.0.0.1:{service.port}/openapi.json",
                "--checks",
                "all",
            ),
            *("--exclude-checks", _LEFT_OUT, "--max-examples", str(count), "--seed", str(seed), "--no-color"),
            *("--workers", "1", "--request-timeout", "30", "--max-failures", "20"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
    generated = re.search(r"(\d[\d,]*) generated", said)
    verdict.note("test cases", generated[1] if generated else "?")
    verdict.none("failures", re.findall(r"^ *- (.+)$", said, re.MULTILINE) if process.returncode else [])
    verdict.at_most("exit status of schemathesis", process.returncode or 0, 0)
    if process.returncode:
        print(said[-6000:])
    return verdict
