"""Turns a GGUF file into the folder format SGLang loads. Run by make_model.py inside the install's interpreter.

SGLang reads GGUF on a GPU only; safetensors it reads everywhere.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

_PROBE = [{"role": "user", "content": "ping"}]
_CHATML_TURN = "<|im_start|>user\nping<|im_end|>\n<|im_start|>assistant\n"


def convert(gguf: Path, out: Path) -> None:
    """Writes tokenizer, chat template, configuration and bfloat16 weights.

    Args:
        gguf: The model file.
        out: An existing, empty folder.

    Raises:
        ValueError: If the file's chat template does not write ChatML.
    """
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    prompt = tokenizer.apply_chat_template(_PROBE, tokenize=False, add_generation_prompt=True)
    if not str(prompt).endswith(_CHATML_TURN):
        raise ValueError(f"{gguf.name} has no ChatML template: it writes {prompt!r}")
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        # Without this, transformers keeps the 4-bit blocks packed and saves what SGLang cannot read.
        quantization_config=GgufConfig(dequantize=True),
    )
    # A GGUF file states no length for its tokenizer, and /tokenize would report a meaningless one.
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
