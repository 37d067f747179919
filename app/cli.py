"""The ``llm-service`` command.

What only one command needs is imported by it: ``serve`` should be ready at once, and hold only what it uses.
"""

import asyncio
import json
import shlex
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from app import operating
from app.cli_keys import keys
from app.config import Settings, load_settings
from app.core.drain import Drain
from app.engines.catalog import MODELS, find_model
from app.engines.sglang import printable
from app.errors import StartupError
from app.main import at_once, create_app, outermost
from app.server import Limits, make_server
from app.telemetry.logs import configure_logs
from app.watching import open_audit
from app.wiring import running_engine, sglang_options

cli = typer.Typer(add_completion=False, no_args_is_help=True, help="LLM service for AI interviews.")
cli.add_typer(keys, name="keys")


def main() -> None:
    """Run the command; errors of the service end it with one sentence and status 1."""
    try:
        cli()
    except StartupError as error:
        typer.echo(f"{typer.style('llm-service:', fg='red', bold=True)} {error}", err=True)
        sys.exit(1)


@cli.command()
def serve(
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Run on the embedded CPU engine; fetch its model first.")
    ] = False,
    with_engine: Annotated[
        bool, typer.Option("--with-engine", help="Start SGLang too, as a child process, from the same settings.")
    ] = False,
) -> None:
    """Start the API, and the embedded engine with it if ENGINE=embedded."""
    with _clean_exit():  # from here on: a signal during a download must stop it, whoever started us
        settings = load_settings(engine="embedded") if embedded else load_settings()
        if embedded and "app_host" not in settings.model_fields_set:
            settings = settings.model_copy(update={"app_host": "127.0.0.1"})
        configure_logs(settings.log_level)
        if (audit := open_audit(settings)) is not None:  # a file that cannot be written is one sentence now
            audit.close()
        listener = _bind(settings.app_host, settings.app_port)
        if settings.engine == "embedded":
            _fetch(settings.embedded_model, settings.models_dir)
            find_model(settings.embedded_model, settings.models_dir)  # a clear sentence now, not a failed start later
        drain = Drain()
        app = create_app(settings, on_ready=lambda: _banner(settings), with_engine=with_engine, drain=drain)
        make_server(outermost(app), drain, _limits(settings), at_once(app)).run(sockets=[listener])


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=settings.max_connections,
        receive=settings.receive_timeout,
        send=settings.send_timeout,
        drain_delay=settings.drain_delay,
        drain_limit=settings.drain_limit,
    )


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def engine(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the exact command and stop.")] = False,
) -> None:
    """Start SGLang alone, from the same settings, and keep it running. What follows -- is passed on to it."""
    settings = load_settings(engine="sglang")
    if dry_run:
        typer.echo(printable(sglang_options(settings, context.args)))
        return
    configure_logs(settings.log_level)
    arguments = shlex.join([*shlex.split(settings.sglang_args), *context.args])
    with _clean_exit():
        asyncio.run(_run_engine(settings.model_copy(update={"sglang_args": arguments})))


async def _run_engine(settings: Settings) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with running_engine(settings, with_engine=True):
        await stop.wait()


@cli.command()
def fetch(
    model: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(MODELS)}.")] = None,
) -> None:
    """Download an embedded model into MODELS_DIR; nothing happens if it is there."""
    settings = load_settings()
    _fetch(model or settings.embedded_model, settings.models_dir)


@cli.command()
def doctor(
    *,
    embedded: Annotated[bool, typer.Option("--embedded", help="As if ENGINE=embedded were set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check machine, settings and engine, and name the fix of what is wrong. Exit status 0 if there is no problem."""
    from app.doctor.report import run_doctor  # noqa: PLC0415  see above

    raise typer.Exit(run_doctor(embedded=embedded, as_json=as_json))


@cli.command(
    "eval",
    add_help_option=False,  # the evaluation explains its own options
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def evaluate(context: typer.Context) -> None:
    """Measure scores and decisions on the engine that the settings name. Its options: llm-service eval --help."""
    try:  # by name, as the service must run where the evaluation was left out
        evaluation = import_module("evals.scoring.command")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("evals"):
            raise
        raise StartupError(
            "The evaluation is not part of this installation. Run the command from a checkout of the repository, "
            "or install one that has the evals folder."
        ) from error
    evaluation.main(context.args)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    schema = create_app(load_settings()).openapi()
    sys.stdout.write(json.dumps(schema, ensure_ascii=False, indent=2) + "\n")


cli.add_typer(operating.audit, name="audit")
cli.command()(operating.top)


def _fetch(name: str, folder: Path) -> None:
    model = MODELS.get(name)
    if model is None:
        return  # a path: find_model says so if it is not there
    from app.downloading import download  # noqa: PLC0415  see above

    download(model, folder)


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

    # uvicorn takes over while it runs and puts these back before it raises the signal again.

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, leave)
    yield


def _banner(settings: Settings) -> None:
    host = "127.0.0.1" if settings.app_host in {"0.0.0.0", "::"} else settings.app_host  # noqa: S104  only compared
    url = f"http://{host}:{settings.app_port}"
    model = settings.embedded_model if settings.engine == "embedded" else settings.model_name
    typer.echo(
        f"\n{typer.style('LLM Service is ready', fg='green', bold=True)}\n"
        f"  API     {url}\n"
        f"  Docs    {url}/docs\n"
        f"  Engine  {settings.engine}\n"
        f"  Model   {model}\n\n"
        f"  curl -s {url}/api/chat/completions -H 'Content-Type: application/json' \\\n"
        """    -d '{"messages":[{"role":"user","content":"면접 첫인사를 한 문장으로 해 줘."}]}'\n\n"""
        f"  Ctrl-C stops everything.\n",
        err=True,
    )
