"""``llm-service keys``: API keys are made, shown and ended here. Only hashes are stored."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from app.config import Settings, load_settings
from app.core.api_keys import make_key
from app.core.key_store import parse_keys, read_keys, write_keys
from app.errors import StartupError
from app.schemas.keys import KeyRecord

keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys. Only their hashes are stored.")

_FileOption = Annotated[Path | None, typer.Option("--file", help="Instead of API_KEYS_FILE.")]
_LimitOption = Annotated[int | None, typer.Option(min=1, help="Instead of the KEY_... setting of that name.")]


@keys.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Who will use it; shown in logs.")],
    scopes: Annotated[str, typer.Option(help="What it opens, by commas: tasks, chat, metrics.")] = "tasks,chat",
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="When it ends; never if left out.")
    ] = None,
    requests_per_minute: _LimitOption = None,
    tokens_per_minute: _LimitOption = None,
    concurrency: _LimitOption = None,
    file: _FileOption = None,
) -> None:
    """Make a key, print it once on standard output, and store its hash in API_KEYS_FILE.

    Without a file the hash is printed, for API_KEYS. A running service reads a changed file within a second.
    """
    path = _file(file, load_settings())
    stored = read_keys(path) if path is not None and path.exists() else []
    expires = None if expires_in_days is None else _now() + timedelta(days=expires_in_days)
    try:
        key, record = make_key(
            name,
            [scope.strip() for scope in scopes.split(",") if scope.strip()],  # type: ignore[misc]  checked there
            expires=expires,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            concurrency=concurrency,
        )
    except ValidationError as error:
        raise StartupError(_explain(error.errors()[0])) from None
    if path is not None:
        write_keys(path, [*stored, record])
        _note(f"The hash is in {path}. This is the key; it is shown this once:")
    else:
        _note("API_KEYS_FILE is not set. Add this to the list in API_KEYS and start the service again:")
        _note(f"API_KEYS='[{record.model_dump_json(exclude_none=True)}]'")
        _note("This is the key; it is shown this once:")
    sys.stdout.write(f"{key}\n")


@keys.command("list")
def show(*, file: _FileOption = None) -> None:
    """Show what is stored."""
    settings = load_settings()
    path = _file(file, settings)
    records = parse_keys(settings.api_keys, "API_KEYS") if settings.api_keys and file is None else []
    records += read_keys(path) if path is not None else []
    if not records:
        _note("No API keys: the service is open. Create one with: llm-service keys create --name NAME")
        return
    from rich.console import Console  # noqa: PLC0415  a service that serves does without
    from rich.table import Table  # noqa: PLC0415

    table = Table("id", "name", "scopes", "created", "expires", "state")
    for record in records:
        scopes = ",".join(sorted(record.scopes))
        expires = record.expires.date().isoformat() if record.expires else "never"
        table.add_row(record.id, record.name, scopes, record.created.date().isoformat(), expires, record.state(_now()))
    Console().print(table)


@keys.command()
def revoke(
    number: Annotated[str, typer.Argument(metavar="ID", help="As `llm-service keys list` shows it.")],
    *,
    file: _FileOption = None,
) -> None:
    """End a key. A running service refuses it within a second; requests under way are answered."""
    path = _file(file, load_settings())
    if path is None:
        raise StartupError("API_KEYS_FILE is not set. A key in API_KEYS is ended by removing it there and a restart.")
    records = read_keys(path)
    if all(record.id != number for record in records):
        raise StartupError(f"{path} holds no key with the id {number}. See: llm-service keys list")
    write_keys(path, [_ended(record) if record.id == number else record for record in records])
    _note(f"{number} is revoked.")


def _note(text: str) -> None:
    """Say something beside the output, which may be piped."""
    typer.echo(text, err=True)


def _file(given: Path | None, settings: Settings) -> Path | None:
    return given or (Path(settings.api_keys_file) if settings.api_keys_file else None)


def _ended(record: KeyRecord) -> KeyRecord:
    return record.model_copy(update={"revoked": record.revoked or _now()})


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _explain(fault: Any) -> str:
    option = "--" + str(fault["loc"][0]).replace("_", "-")
    if option == "--scopes":
        return "--scopes: must be some of tasks, chat, metrics, separated by commas."
    if option == "--name":
        return "--name: must be 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit."
    return f"{option}: {fault['msg']}."
