"""The command ``llm-service eval``."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.config import Settings, load_settings
from app.core.llm_engine import LLMEngine
from app.errors import StartupError
from app.telemetry.logs import configure_logs
from app.wiring import policy_of, running_engine
from evals.integrity import Split
from evals.scoring.bars import Bar, Findings, bars
from evals.scoring.judging import Terms
from evals.scoring.parts import PARTS, Sizes, build_items
from evals.scoring.report import report
from evals.scoring.runner import Failure, Item, PartName, Store, run_items
from evals.scoring.suite import SHIPPED, load_suite

cli = typer.Typer(add_completion=False)
console = Console(stderr=True, highlight=False)

_READY = 300.0  # seconds until an engine must be able to answer; an embedded one loads its model first
_PLACES = 8  # one item to so many places: on a CPU one at a time, since rivals cost it its prefix cache
_WIDE = 160  # columns of the table in a file, which has no edge
_ALL = ",".join(PARTS)
_USUAL = Sizes()
_STATUS = {True: "[green]yes[/]", False: "[bold red]no[/]", None: "[dim]not measured[/]"}


@cli.command("eval")
def evaluate(  # noqa: PLR0913  the options of a command are its parameters
    *,
    base_url: Annotated[
        str,
        typer.Option(help="Another SGLang or OpenAI-compatible engine, http://host:port; MODEL_NAME names its model."),
    ] = "",
    suite: Annotated[Path, typer.Option(help="Folder of *.toml files like those that are shipped.")] = SHIPPED,
    split: Annotated[Split, typer.Option(help="Half of the suite; rubrics and patterns are developed on 'tune'.")] = (
        "held-out"
    ),
    parts: Annotated[str, typer.Option(help="What to measure, separated by commas.")] = _ALL,
    limit: Annotated[int, typer.Option(min=0, help="At most this many of each part (0: no limit).")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of results; a run that was interrupted goes on where it stopped.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=0, help="At the same time (0: an eighth of the engine's places).")
    ] = 0,
    plain: Annotated[int, typer.Option(min=0, help="Questions also scored inside the JSON.")] = _USUAL.plain,
    retest: Annotated[int, typer.Option(min=1, help="Questions put through all wrappers.")] = _USUAL.retest,
    injections: Annotated[int, typer.Option(min=1, help="Attacks, spread over their kinds.")] = _USUAL.injections,
    steps: Annotated[int, typer.Option(min=0, help="Situations (0: all).")] = _USUAL.steps,
    feedbacks: Annotated[int, typer.Option(min=1, help="Feedbacks read for contradictions.")] = _USUAL.feedbacks,
    reports: Annotated[int, typer.Option(min=1, help="Reports of 11 questions.")] = _USUAL.reports,
    cost: Annotated[int, typer.Option(min=1, help="Answers whose cost is compared.")] = _USUAL.cost,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one request may take.")] = 900.0,
) -> None:
    """Measure scores and decisions on the engine that the settings name.

    Prints each bar with its figure and writes report.md, results.jsonl and plots. A result that is there already is
    not measured again unless the model, the suite or the code that judges has changed.
    """
    settings = _settings(base_url)
    configure_logs("ERROR")
    sizes = Sizes(limit, plain, retest, injections, steps, feedbacks, reports, cost)
    policy = policy_of(settings)
    items = build_items(load_suite(suite, split), _parts(parts), sizes, Terms(policy, timeout))
    if not items:
        raise StartupError("The suite has nothing for these parts. Choose other --parts or another --suite.")
    model = settings.embedded_model if settings.engine == "embedded" else settings.model_name
    folder = out or Path("eval-results") / f"{Path(model).name}-{split}"
    try:
        findings, failures = asyncio.run(_measure(settings, items, folder, concurrency))
    except KeyboardInterrupt:
        console.print(f"\nStopped. The results so far are in {folder}/; the same command goes on from there.")
        raise typer.Exit(130) from None
    _conclude(findings, folder, split)
    _tell(failures)
    if failures:
        raise typer.Exit(1)


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    cli(args=list(arguments), prog_name="llm-service eval")


def _settings(base_url: str) -> Settings:
    if not base_url:
        return load_settings()
    address = urlsplit(base_url if "//" in base_url else f"//{base_url}")
    with contextlib.suppress(ValueError):  # of a port that is no number
        if address.scheme in {"", "http"} and address.hostname and address.path.strip("/") in {"", "v1"}:
            return load_settings(engine="sglang", sglang_host=address.hostname, sglang_port=address.port or 80)
    raise StartupError(f"--base-url {base_url} is not the address of an engine. Write it as http://host:port.")


def _parts(text: str) -> list[PartName]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [part for part in wanted if part not in PARTS]:
        raise StartupError(f"--parts: there is no part {unknown[0]!r}. The parts are {_ALL}.")
    return [part for part in PARTS if part in wanted]


async def _measure(
    settings: Settings, items: Sequence[Item], folder: Path, concurrency: int
) -> tuple[Findings, list[Failure]]:
    async with running_engine(settings) as engine:
        store = Store(folder, engine)
        try:
            known = sum(store.get(item) is not None for item in items)
            console.print(f"{engine.model} on {engine.name}: {len(items)} items, {known} of them known from {folder}/")
            failures: list[Failure] = []
            if known < len(items):
                await _wait_ready(engine)
                width = concurrency or max(1, engine.admission.slots // _PLACES)
                failures = await _with_progress(engine, items, store, width)
            pairs = [(item, record) for item in items if (record := store.get(item)) is not None]
        finally:
            store.close()
    return Findings(engine.name, engine.model, pairs), failures


async def _wait_ready(engine: LLMEngine) -> None:
    try:
        with console.status("Waiting for the engine ..."):
            async with asyncio.timeout(_READY):
                await engine.monitor.wait_ready()
    except TimeoutError:
        trouble = engine.monitor.trouble
        raise StartupError(f"The engine cannot answer after {_READY:g} s: {trouble}. Start it and repeat.") from None


async def _with_progress(engine: LLMEngine, items: Sequence[Item], store: Store, concurrency: int) -> list[Failure]:
    """Bars in measured scores, so that the time left holds over parts of different length."""
    todo = [item for item in items if store.get(item) is None]
    columns: list[Any] = [
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console, speed_estimate_period=600) as progress:
        whole = progress.add_task("all, weighted", total=sum(item.weight for item in todo))
        tasks = {
            part: progress.add_task(part, total=sum(item.part == part for item in todo))
            for part in dict.fromkeys(item.part for item in todo)
        }

        def done(item: Item) -> None:
            progress.advance(whole, item.weight)
            progress.advance(tasks[item.part])

        return await run_items(engine, items, store, concurrency, done)


def _conclude(findings: Findings, folder: Path, split: Split) -> None:
    """Print the bars; write the report and, if that can be done, the plots."""
    lines = bars(findings)
    _print(lines)
    title = f"Evaluation of {findings.model} ({findings.engine}), half {split}"
    plots: list[str] = []
    try:
        plots = import_module("evals.scoring.plots").draw(findings, folder)
    except ModuleNotFoundError:
        console.print("No plots: matplotlib is not installed. Install it with: pip install matplotlib")
    (folder / "report.md").write_text(report(findings, lines, title, plots), encoding="utf-8")
    console.print(f"The whole report: {folder / 'report.md'}")


def _print(lines: Sequence[Bar]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("line", "what", "bar", "found", "met"):
        table.add_column(name)
    for line in lines:
        table.add_row(str(line.number), line.what, line.bar, line.figure, _STATUS[line.met])
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(table)


def _tell(failures: Sequence[Failure]) -> None:
    for failure in failures[:5]:
        console.print(f"[red]{failure.item.part} {escape(failure.item.id)}:[/] {escape(str(failure.error))}")
    if failures:
        console.print(f"{len(failures)} items could not be measured; the same command tries them again.")
