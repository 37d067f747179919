"""The ``llm-service`` command."""

import json
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from app.config import Settings, load_settings
from app.engines.catalog import MODELS, find_model
from app.engines.fetch import fetch_model
from app.errors import StartupError
from app.main import create_app
from app.telemetry.logs import configure_logs

cli = typer.Typer(add_completion=False, no_args_is_help=True, help="LLM service for AI interviews.")
console = Console(stderr=True)


def main() -> None:
    """Run the command; errors of the service end it with one sentence and status 1."""
    try:
        cli()
    except StartupError as error:
        console.print(f"[bold red]llm-service:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


@cli.command()
def serve(
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Run on the embedded CPU engine; fetch its model first.")
    ] = False,
) -> None:
    """Start the API, and the embedded engine with it if ENGINE=embedded."""
    settings = load_settings(engine="embedded") if embedded else load_settings()
    if embedded and "app_host" not in settings.model_fields_set:
        settings = settings.model_copy(update={"app_host": "127.0.0.1"})
    configure_logs(settings.log_level)
    listener = _bind(settings.app_host, settings.app_port)
    if settings.engine == "embedded":
        _fetch(settings.embedded_model, settings.models_dir)
        find_model(settings.embedded_model, settings.models_dir)  # a clear sentence now, not a failed start later
    app = create_app(settings, on_ready=lambda: _banner(settings))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10)
    with _clean_exit():
        uvicorn.Server(config).run(sockets=[listener])


@cli.command()
def fetch(
    model: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(MODELS)}.")] = None,
) -> None:
    """Download an embedded model into MODELS_DIR; nothing happens if it is there."""
    settings = load_settings()
    _fetch(model or settings.embedded_model, settings.models_dir)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    schema = create_app(load_settings()).openapi()
    sys.stdout.write(json.dumps(schema, ensure_ascii=False, indent=2) + "\n")


class _Bar:
    """Draws the progress of a download: size, speed and time left."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=None)

    def start(self, total: int) -> None:
        self._bar.update(self._task, total=total)

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)


def _fetch(name: str, folder: Path) -> None:
    model = MODELS.get(name)
    if model is None:
        return  # a path: find_model says so if it is not there
    if (folder / model.file_name).is_file():
        return
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console) as bar:
        fetch_model(model, folder, _Bar(bar, model.name))


def _bind(host: str, port: int) -> socket.socket:
    """The API's socket, before anything slow starts: a port that is taken is known at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartupError(
            f"The service cannot listen on {host}:{port}: {error.strerror}. "
            "Stop what uses that port or set APP_PORT to another."
        ) from error
    listener.set_inheritable(False)
    return listener


@contextmanager
def _clean_exit() -> Generator[None, None, None]:
    """Exit status 0 after an orderly stop: uvicorn raises the signal again once it has shut down."""

    def leave(*_: object) -> None:
        sys.exit(0)

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, leave)
    yield


def _banner(settings: Settings) -> None:
    host = "127.0.0.1" if settings.app_host in {"0.0.0.0", "::"} else settings.app_host  # noqa: S104  only compared
    url = f"http://{host}:{settings.app_port}"
    model = settings.embedded_model if settings.engine == "embedded" else settings.model_name
    console.print(
        f"\n[bold green]LLM Service is ready[/]\n"
        f"  API     {url}\n"
        f"  Docs    {url}/docs\n"
        f"  Engine  {settings.engine}\n"
        f"  Model   {model}\n\n"
        f"  curl -s {url}/api/chat/completions -H 'Content-Type: application/json' \\\n"
        """    -d '{"messages":[{"role":"user","content":"면접 첫인사를 한 문장으로 해 줘."}]}'\n\n"""
        f"  Ctrl-C stops everything.\n",
        highlight=False,
        soft_wrap=True,
        markup=True,
    )
