"""The report on standard output: lines as they come, or one JSON document at the end."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from app.doctor.checks import Check, exit_status
from app.doctor.examination import examine
from app.telemetry.logs import configure_logs

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def run_doctor(*, embedded: bool, as_json: bool) -> int:
    """Examine and report.

    Args:
        embedded: As if ENGINE=embedded were set.
        as_json: One JSON document instead of lines.

    Returns:
        The exit status: 0 if nothing is wrong, else 1. Warnings are not wrong.
    """
    configure_logs("CRITICAL")  # the report says it better
    checks = asyncio.run(_collect(examine(embedded=embedded), as_json=as_json))
    status = exit_status(checks)
    if as_json:
        document = {"ok": status == 0, "checks": [asdict(check) for check in checks]}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    return status


async def _collect(found: AsyncIterator[Check], *, as_json: bool) -> list[Check]:
    console = Console(quiet=as_json, highlight=False, soft_wrap=True)
    checks: list[Check] = []
    with console.status("Examining ..."):  # only drawn on a terminal
        async for check in found:
            checks.append(check)
            console.print(_coloured(check))
    if not as_json:
        console.print(_summary(checks))
    return checks


def _coloured(check: Check) -> Text:
    line = Text(check.line)
    line.stylize(_COLOURS[check.level], 0, len(check.level))
    return line


def _summary(checks: list[Check]) -> str:
    problems, warnings = (sum(check.level == level for check in checks) for level in ("problem", "warning"))
    if not problems and not warnings:
        return "\nNothing is wrong."
    return f"\n{problems} problem(s), {warnings} warning(s)."
