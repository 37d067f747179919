"""llm-service keys: a key is shown once, its hash is kept."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.core.api_keys import KeyRing
from app.core.key_store import parse_keys, read_keys
from app.errors import StartupError, Unauthenticated


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments])


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("API_KEYS", raising=False)
    monkeypatch.setenv("API_KEYS_FILE", "keys.json")
    return tmp_path / "keys.json"


def test_a_created_key_is_all_that_standard_output_holds_and_it_opens(file: Path) -> None:
    done = run("create", "--name", "backend", "--scopes", "tasks, chat")
    key = done.stdout.strip()
    record = KeyRing(read_keys(file)).owner(key)
    assert (record.name, record.scopes) == ("backend", {"tasks", "chat"})
    assert key not in done.stderr
    assert key not in file.read_text()


def test_limits_and_expiry_are_kept(file: Path) -> None:
    run("create", "--name", "a", "--expires-in-days", "1", "--requests-per-minute", "5", "--concurrency", "2")
    (record,) = read_keys(file)
    assert record.expires is not None
    assert (record.expires - record.created).days == 1
    assert (record.requests_per_minute, record.tokens_per_minute, record.concurrency) == (5, None, 2)


def test_a_revoked_key_opens_nothing_and_stays_listed(file: Path) -> None:
    key = run("create", "--name", "a").stdout.strip()
    run("create", "--name", "b")
    number = key.split("_")[1]
    run("revoke", number)
    with pytest.raises(Unauthenticated, match="revoked"):
        KeyRing(read_keys(file)).owner(key)
    listed = run("list").stdout
    assert "revoked" in listed
    assert "live" in listed
    assert all(record.hash not in listed for record in read_keys(file))


def test_without_a_file_the_hash_is_printed_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_KEYS_FILE")
    done = run("create", "--name", "a")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("API_KEYS=")]
    records = parse_keys(line.removeprefix("API_KEYS=").strip("'"), "API_KEYS")
    assert KeyRing(records).owner(done.stdout.strip()).name == "a"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["create", "--name", "a", "--scopes", "tasks,admin"], "--scopes"),
        (["create", "--name", "한글"], "--name"),
        (["revoke", "0123456789ab"], "cannot be read"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: list[str], named: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, StartupError)
    assert named in error.message
