"""The command line: one option for every setting."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import uvloop
from pydantic import ValidationError

from simulator.control import script_of
from simulator.server import serve_forever
from simulator.settings import Settings


def build_parser() -> argparse.ArgumentParser:
    """Options made from the fields of `Settings`, so the two cannot differ."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A simulated SGLang server.")
    for name, field in Settings.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        text = f"{field.description or name} (default: {field.default})"
        if field.annotation is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            parser.add_argument(option, metavar="VALUE", help=text)
    parser.add_argument(
        "--script",
        type=Path,
        metavar="FILE",
        help="JSON: a list of exact answers to give in turn, or an object of them by a text of the prompt",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator."""
    parser = build_parser()
    given = {key: value for key, value in vars(parser.parse_args(arguments)).items() if value is not None}
    path: Path | None = given.pop("script", None)
    try:
        script = script_of(json.loads(path.read_text("utf-8"))) if path else ()
        settings = Settings.model_validate(given)
    except (ValidationError, ValueError, OSError) as error:
        parser.error(str(error))
    uvloop.run(serve_forever(settings, script))
    return 0
