"""The command that starts SGLang, and why each flag is on it."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from app.engines.base import Address
from app.engines.models import ModelProfile, model_source
from app.engines.supervisor import RUN_FOLDER, EngineCommand
from app.engines.tether import tethered

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
_INFO = 20


@dataclass(frozen=True, slots=True)
class SGLangOptions:
    """How SGLang is to be started.

    Attributes:
        python: The interpreter that has SGLang installed.
        model: MODEL_NAME: a hub id or a local folder.
        profile: What that model needs.
        device: ``cuda`` or ``cpu``.
        context: Tokens of a prompt and its answer together.
        tensor_parallel: GPUs that share the model.
        host: Where it listens; ``localhost`` means loopback only.
        port: Where it listens.
        api_key: What it asks clients for; empty for nothing.
        max_queue: Requests that may wait inside it.
        extra: Further flags, as they are; of two equal ones SGLang takes the last.
    """

    python: str
    model: str
    profile: ModelProfile
    device: str
    context: int
    tensor_parallel: int
    host: str
    port: int
    api_key: str
    max_queue: int
    extra: Sequence[str] = ()


def sglang_arguments(options: SGLangOptions) -> list[str]:
    """SGLang's command line."""
    model = model_source(options.model)
    return [
        *(options.python, "-m", "sglang.launch_server"),
        *("--model-path", model, "--served-model-name", options.model),
        *("--host", _bind(options.host), "--port", str(options.port)),
        *("--device", options.device),
        *("--context-length", str(options.context)),
        *("--tp-size", str(options.tensor_parallel)),
        *(("--api-key", options.api_key) if options.api_key else ()),
        *("--enable-metrics", "--enable-cache-report"),
        # The service asks for readiness every second; a log of that hides everything else.
        *("--uvicorn-access-log-exclude-prefixes", "/ready", "/metrics"),
        # Ids and times of each request, no words of it (level 0): what the access log calls `engine_id` is found here.
        *("--log-requests", "--log-requests-level", "0", "--log-requests-format", "json"),
        # Without it the `priority` of a request is ignored, and a report delays a waiting candidate.
        "--enable-priority-scheduling",
        # Unbounded by default: overload would become time-outs for everybody.
        *("--max-queued-requests", str(options.max_queue)),
        # By default unset sampling values come from the model's files (Qwen3-32B: those for thinking). The service
        # sends every value; this is for whoever else calls the engine.
        *("--sampling-defaults", "openai"),
        # xgrammar 0.2.7, the default, lets tokens through its mask that its own matcher then refuses, where a class of
        # characters is repeated more than 128 times: 4 of 24 answers ended in a 500. See docs/decoding.md.
        *("--grammar-backend", "llguidance"),
        *_template(options.profile),
        *options.extra,
    ]


def sglang_command(options: SGLangOptions) -> EngineCommand:
    """SGLang as a child of this process that ends with it.

    A single worker meets itself by a file: by default it opens a TCP port on every address of the machine, whatever
    ``--host`` says.
    """
    environment = {"PYTHONUNBUFFERED": "1", "SGLANG_LOG_REQUEST_HEADERS": "x-request-id"}
    if options.tensor_parallel == 1:
        environment["SGLANG_DISTRIBUTED_INIT_METHOD_OVERRIDE"] = f"file://{RUN_FOLDER}/rendezvous"
    return EngineCommand(
        argv=tethered(*sglang_arguments(options)),
        environment=environment,
        address=Address(_connect(options.host), options.port),
        line_level=_INFO,
    )


def printable(options: SGLangOptions) -> str:
    """The command line for a shell; the key stays in its variable."""
    words = [shlex.quote(word) for word in sglang_arguments(options)]
    if options.api_key:
        words[words.index("--api-key") + 1] = '"$SGLANG_API_KEY"'
    return " ".join(words)


def _template(profile: ModelProfile) -> tuple[str, ...]:
    if not profile.template_arguments:
        return ()
    return ("--default-chat-template-kwargs", json.dumps(dict(profile.template_arguments)))


def _bind(host: str) -> str:
    return "127.0.0.1" if host in _LOOPBACK_NAMES else host


def _connect(host: str) -> str:
    """Where we reach an engine that listens on ``host``."""
    return "127.0.0.1" if host in {*_LOOPBACK_NAMES, "0.0.0.0", "::"} else host  # noqa: S104  only compared
