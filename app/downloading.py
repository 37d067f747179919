"""Fetches an embedded model and shows on a terminal how it goes; only commands that download import it."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from app.engines.catalog import EmbeddedModel
from app.engines.fetch import fetch_model


class _Bar:
    """Draws the progress of a download: size, speed and time left. Shows nothing if nothing is downloaded."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=None, visible=False)

    def start(self, total: int) -> None:
        self._bar.update(self._task, total=total, visible=True)

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)


def download(model: EmbeddedModel, folder: Path) -> None:
    """Make sure that ``model`` is in ``folder``, and show on standard error how it comes.

    Raises:
        StartupError: see ``fetch_model``.
    """
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        fetch_model(model, folder, _Bar(bar, model.name))
