"""Line 1, the other half: schemathesis with all its checks, from the OpenAPI document, over real sockets."""

import asyncio
import re
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from app.core.api_keys import make_key
from app.core.key_store import write_keys
from chaos.stage import stage
from chaos.verdict import Verdict
from fuzz.bodies import MODEL

_TOOL = Path(sys.executable).parent / "schemathesis"
_CONFIG = Path(__file__).parent / "schemathesis.toml"
_CONTEXT = 1_000_000  # no prompt is longer: a schema cannot tell that one does not fit the model


async def schema(seed: int, first: int, count: int) -> Verdict:
    """Up to ``count`` examples for each operation and phase."""
    del first
    verdict = Verdict()
    engine = {"slots": 64, "ttft": 0, "tps": 0, "typical_chars": 20, "context_length": _CONTEXT}
    settings = {"MODEL_NAME": MODEL, "LOG_LEVEL": "ERROR", "REQUEST_TIMEOUT": 30, "MAX_MODEL_LEN": _CONTEXT}
    key, record = make_key("schema", ["tasks", "chat", "metrics"])
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        write_keys(Path(folder) / "keys.json", [record])
        keys = {"API_KEYS_FILE": str(Path(folder) / "keys.json")}
        _, service = await stack.enter_async_context(stage(engine, settings | keys))
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
            *(
                "--header",
                f"Authorization: Bearer {key}",
                "--max-examples",
                str(count),
                "--seed",
                str(seed),
                "--no-color",
            ),
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
        print("\n".join(f"{line:.600}" for line in said.splitlines()[-120:]))
    return verdict
