"""Commands for the operator of a running service: ``llm-service top`` and ``llm-service audit``."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.config import load_settings
from app.errors import StartupError
from app.telemetry.audit_export import export, files_of

audit = typer.Typer(no_args_is_help=True, help="Work with the decision records of AUDIT_LOG.")


@audit.callback()
def _records() -> None:
    pass


@audit.command("export")
def export_records(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day, UTC; all if left out.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, UTC, included.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The records; AUDIT_LOG if left out.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the CSV goes; standard output if left out.")] = None,
) -> None:
    """Write the decisions of some days as CSV, one row for each score or step, for a bias audit."""
    path = file or Path(load_settings().audit_log or ".")
    if not path.name:
        raise StartupError("There are no decision records: AUDIT_LOG is not set. Set it, or name a file with --file.")
    if not files_of(path):
        raise StartupError(f"{path} does not exist. Name the file of AUDIT_LOG with --file.")
    days = first.date() if first else None, last.date() if last else None
    if output is None:
        rows, broken = export(path, *days, sys.stdout)
    else:
        with output.open("w", encoding="utf-8", newline="") as sink:
            rows, broken = export(path, *days, sink)
    typer.echo(f"{rows} rows" + (f"; {broken} lines are no records and were left out" if broken else ""), err=True)


def top(
    url: Annotated[str, typer.Argument(help="Where the service listens; APP_HOST and APP_PORT if left out.")] = "",
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print and stop.")] = False,  # noqa: FBT002  a flag
    key: Annotated[
        str, typer.Option(envvar="LLM_SERVICE_KEY", help="An API key with scope metrics, if it has keys.")
    ] = "",
) -> None:
    """Show the figures of a running service live: is it the service, the engine or the load?"""
    from app.telemetry.top import run_top  # noqa: PLC0415  only this command needs it

    if not url:
        settings = load_settings()
        host = "127.0.0.1" if settings.app_host in {"0.0.0.0", "::"} else settings.app_host  # noqa: S104  compared
        url = f"http://{host}:{settings.app_port}"
    raise typer.Exit(run_top(url, interval, once=once, key=key))
