"""GPU memory: what a model's weights and its KV cache need, and whether it is there. Pure but for local model folders.

The arithmetic, for each GPU:

    weights     = parameters x bytes per parameter / TP
    KV a token  = 2 (key and value) x layers x KV heads x head_dim x bytes per number
    KV a GPU    = KV a token / min(TP, KV heads)      a KV head is never split, beyond that they are copied
    usable      = 0.9 x memory                        the rest is for activations and CUDA graphs
    full-length conversations at once = (usable - weights) / (KV a GPU x MAX_MODEL_LEN)

Qwen3-32B: 2 x 64 x 8 x 128 x 2 bytes = 256 KiB a token, 8.6 GB for one conversation of 32,768 tokens, next to 65.5 GB
of weights in BF16 or 33 GB in FP8.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.doctor.checks import Check, ok, problem, warning

MEMORY = "GPU memory"
LENGTH = "Context length"
_BF16 = 2
_USABLE = 0.9
_FEW = 4  # full-length conversations at once; with less, ordinary load already waits for memory
_MOST_GPUS = 8


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What a model needs.

    Attributes:
        weights: Bytes of all weights.
        layers: Layers with attention.
        kv_heads: Heads of keys and values.
        head_dim: Numbers in a head.
        context: Tokens it can take without its positions being stretched.
        kv_bytes: Bytes of one number in the KV cache.
    """

    weights: float
    layers: int
    kv_heads: int
    head_dim: int
    context: int
    kv_bytes: int = _BF16

    @property
    def kv_token(self) -> int:
        """Bytes of KV cache that one token takes, over all GPUs."""
        return 2 * self.layers * self.kv_heads * self.head_dim * self.kv_bytes


# Parameters (10^9), layers, KV heads, head_dim, context: the model cards and config.json files. The hybrid Qwen3 models
# are made for 32,768 tokens; their files allow 40,960, and SGLang takes what the files allow.
_KNOWN: dict[str, tuple[float, int, int, int, int]] = {
    "qwen3-32b": (32.76, 64, 8, 128, 40_960),
    "qwen3-30b-a3b-instruct-2507": (30.5, 48, 4, 128, 262_144),
    "qwen3-30b-a3b": (30.5, 48, 4, 128, 40_960),
    "qwen3-14b": (14.8, 40, 8, 128, 40_960),
    "qwen3-8b": (8.2, 36, 8, 128, 40_960),
    "qwen3-4b-instruct-2507": (4.0, 36, 8, 128, 262_144),
    "qwen3-4b": (4.0, 36, 8, 128, 40_960),
    "qwen3-1.7b": (2.0, 28, 8, 128, 40_960),
    "qwen3-0.6b": (0.75, 28, 8, 128, 40_960),
    "qwen2.5-32b": (32.5, 64, 8, 128, 32_768),
    "qwen2.5-14b": (14.7, 48, 8, 128, 32_768),
    "qwen2.5-7b": (7.6, 28, 4, 128, 32_768),
    "qwen2.5-3b": (3.1, 36, 2, 128, 32_768),
    "qwen2.5-1.5b": (1.5, 28, 2, 128, 32_768),
    "qwen2.5-0.5b": (0.5, 24, 2, 64, 32_768),
}
_PER_PARAMETER = {"-fp8": 1.0, "-awq": 0.6}
_OTHER_FORM = {"Qwen/Qwen3-32B": "Qwen/Qwen3-32B-FP8 (33 GB)"}


def size_of(source: str) -> ModelSize | None:
    """The size of a model by its hub id or local folder, or None if it is not known here."""
    return _folder_size(Path(source)) or _known_size(source)


def _known_size(source: str) -> ModelSize | None:
    name, per_parameter = source.rsplit("/", 1)[-1].lower(), float(_BF16)
    for suffix, size in _PER_PARAMETER.items():
        if name.endswith(suffix):
            name, per_parameter = name.removesuffix(suffix), size
    found = _KNOWN.get(name) or _KNOWN.get(name.removesuffix("-instruct"))
    if found is None:
        return None
    parameters, layers, kv_heads, head_dim, context = found
    return ModelSize(parameters * 1e9 * per_parameter, layers, kv_heads, head_dim, context)


def _folder_size(folder: Path) -> ModelSize | None:
    """From its config.json and weight files."""
    try:
        config: Any = json.loads((folder / "config.json").read_text("utf-8"))
        config = config.get("text_config") or config
        heads = config["num_attention_heads"]
        return ModelSize(
            weights=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
            layers=config["num_hidden_layers"],
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            context=_stretched(config),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _stretched(config: Any) -> int:
    scaling: Any = config.get("rope_scaling") or {}
    original: Any = scaling.get("original_max_position_embeddings")
    return int(original * scaling.get("factor", 1)) if original else config["max_position_embeddings"]


def with_flags(size: ModelSize, flags: Sequence[str]) -> ModelSize:
    """The size as SGLANG_ARGS changes it: an FP8 KV cache, weights made FP8 while loading."""
    if (flag(flags, "--kv-cache-dtype") or "").startswith("fp8"):
        size = replace(size, kv_bytes=1)
    if flag(flags, "--quantization") == "fp8":
        size = replace(size, weights=size.weights / _BF16)
    return size


def flag(flags: Sequence[str], name: str) -> str | None:
    """The value of a command line option, the last one if it is given twice."""
    found = None
    for at, word in enumerate(flags):
        if word == name and at + 1 < len(flags):
            found = flags[at + 1]
        elif word.startswith(f"{name}="):
            found = word.removeprefix(f"{name}=")
    return found


def conversations(size: ModelSize, memory: float, tensor_parallel: int, context: int) -> float:
    """Full-length conversations that fit at once; below 1 the model does not fit. See the module for the formula."""
    kv = size.kv_token / min(tensor_parallel, size.kv_heads) * context
    return (memory * _USABLE - size.weights / tensor_parallel) / kv


def memory_check(source: str, size: ModelSize, memory: float | None, tensor_parallel: int, context: int) -> Check:
    """Whether the model and its KV cache fit.

    Args:
        source: The model, as it is downloaded.
        size: What it needs.
        memory: Bytes of the smallest GPU that is used, or None if it cannot be seen from here.
        tensor_parallel: GPUs that share the model.
        context: MAX_MODEL_LEN.
    """
    one = size.kv_token * context
    need = (
        f"{source} needs {size.weights / 1e9:.1f} GB for its weights and {size.kv_token / 1024:.0f} KiB of KV cache a "
        f"token, {one / 1e9:.1f} GB for one conversation of {context} tokens"
    )
    if memory is None:
        return ok(MEMORY, f"{need}; the GPUs cannot be seen from here, so compare with theirs.")
    room = conversations(size, memory, tensor_parallel, context)
    found = f"{need}; TENSOR_PARALLEL_SIZE={tensor_parallel} x {memory / 1e9:.0f} GB"
    fix = _more_room(source, size, memory, tensor_parallel, context)
    if room < 1:
        return problem(MEMORY, f"{found} is too small.", fix)
    if room < _FEW:
        return warning(MEMORY, f"{found} has room for {int(room)} such conversation(s) at once.", fix)
    return ok(MEMORY, f"{found} has room for {int(room)} such conversations at once.")


def _more_room(source: str, size: ModelSize, memory: float, tensor_parallel: int, context: int) -> str:
    """The ways out that would work."""
    ways: list[str] = []
    counts = [2**power for power in range(1, _MOST_GPUS.bit_length()) if 2**power > tensor_parallel]
    enough = next((count for count in counts if conversations(size, memory, count, context) >= _FEW), None)
    if enough:
        ways.append(f"set TENSOR_PARALLEL_SIZE={enough}")
    if other := _OTHER_FORM.get(source):
        ways.append(f"set MODEL_NAME={other}")
    shorter = context // 4
    if shorter >= size.context // 16 and conversations(size, memory, tensor_parallel, shorter) >= 1:
        ways.append(f"set MAX_MODEL_LEN={shorter}")
    if not ways:
        ways.append("set MODEL_NAME to a smaller model")
    text = ", or ".join(ways)
    return f"{text[0].upper()}{text[1:]}."


def length_check(source: str, size: ModelSize, context: int) -> Check:
    """Whether the model was made for contexts of MAX_MODEL_LEN tokens."""
    if context <= size.context:
        return ok(LENGTH, f"MAX_MODEL_LEN={context}; {source} takes up to {size.context} tokens.")
    factor = -(-context // size.context)
    scaling = f'{{"rope_scaling": {{"rope_type": "yarn", "factor": {factor}.0}}}}'
    return warning(
        LENGTH,
        f"MAX_MODEL_LEN={context} is more than the {size.context} tokens that {source} was made for.",
        f"Set MAX_MODEL_LEN={size.context}, or stretch the model with "
        f"SGLANG_ARGS=\"--json-model-override-args '{scaling}'\".",
    )
