"""The file of API keys: written whole, read again when it changes, never half believed."""

import stat
from pathlib import Path

import pytest

from app.core.api_keys import make_key
from app.core.key_store import KeyStore, read_keys, write_keys
from app.errors import StartupError, Unauthenticated
from app.schemas.keys import KeyFile

KEY, RECORD = make_key("backend", ["tasks"])
OTHER_KEY, OTHER = make_key("other", ["chat"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_only_its_owner_may_read_the_file(path: Path) -> None:
    write_keys(path, [RECORD])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path) == [RECORD]
    assert KEY not in path.read_text()


def test_a_mode_that_the_operator_gave_it_stays(path: Path) -> None:
    write_keys(path, [])
    path.chmod(0o640)
    write_keys(path, [RECORD])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_changed_file_counts_once_it_is_read_again(path: Path) -> None:
    write_keys(path, [RECORD])
    store = KeyStore("", str(path))
    write_keys(path, [OTHER])
    store.refresh()
    assert store.ring.owner(OTHER_KEY) == OTHER
    with pytest.raises(Unauthenticated):
        store.ring.owner(KEY)


@pytest.mark.parametrize("text", ["", "{", "[]]", '{"keys": 1}', '{"keys": [{"id": "x"}]}', '{"other": []}'])
def test_a_broken_file_is_refused_at_start_and_changes_nothing_later(path: Path, text: str) -> None:
    write_keys(path, [RECORD])
    store = KeyStore("", str(path))
    path.write_text(text)
    with pytest.raises(StartupError):
        KeyStore("", str(path))
    with pytest.raises(StartupError):
        store.refresh()
    assert store.ring.owner(KEY) == RECORD


def test_a_file_that_is_gone_changes_nothing(path: Path) -> None:
    write_keys(path, [RECORD])
    store = KeyStore("", str(path))
    path.unlink()
    with pytest.raises(StartupError, match="API_KEYS_FILE"):
        store.refresh()
    assert store.ring.owner(KEY) == RECORD


def test_a_missing_file_is_told_how_to_make_one(path: Path) -> None:
    with pytest.raises(StartupError, match="llm-service keys create"):
        KeyStore("", str(path))


def test_keys_of_the_environment_and_of_the_file_count_together(path: Path) -> None:
    write_keys(path, [RECORD])
    store = KeyStore(f"[{OTHER.model_dump_json(exclude_none=True)}]", str(path))
    assert store.ring.owner(KEY) == RECORD
    assert store.ring.owner(OTHER_KEY) == OTHER


def test_one_key_in_both_places_is_one_too_many(path: Path) -> None:
    write_keys(path, [RECORD])
    with pytest.raises(StartupError, match="twice"):
        KeyStore(KeyFile(keys=[RECORD]).model_dump_json(), str(path))


def test_an_error_shows_neither_hash_nor_content(path: Path) -> None:
    path.write_text(f'{{"keys": [{{"id": "{KEY}"}}]}}')
    with pytest.raises(StartupError) as caught:
        read_keys(path)
    assert KEY not in caught.value.message
