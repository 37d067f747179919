"""Asks SGLang's own argument parser whether it takes a command line. Starts no server and needs no GPU.

    python3.11 deploy/sglang-cpu/check_flags.py -- --model-path Qwen/Qwen3-32B-FP8 --tp-size 2
    echo '["--model-path", "m", "--tp-size", "2"]' | python3.11 deploy/sglang-cpu/check_flags.py

On standard input a JSON list of command lines (a list of lists) is taken too, and loads SGLang only once. A
command may start with `sglang serve` or `python -m sglang.launch_server`. Prints `ok` or the parser's
complaint, one line for each command line; the exit status is 1 if there was a complaint. Values that SGLang
checks only when it sees the hardware or the model (a port of 99999, a model that does not exist) pass.
"""

import contextlib
import io
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import install
import layout

_ENTRIES = (("sglang", "serve"), ("-m", "sglang.launch_server"))


def flags_of(command: Sequence[str]) -> list[str]:
    """Strips the program from a command line.

    Args:
        command: Arguments, with or without `sglang serve` or `python -m sglang.launch_server` before them.

    Returns:
        The flags alone.
    """
    for at, pair in enumerate(itertools.pairwise(command)):
        if pair[0].startswith("--"):
            break
        if (Path(pair[0]).name, pair[1]) in _ENTRIES:
            return list(command[at + 2 :])
    return list(command)


def complaint(flags: list[str]) -> str | None:
    """Parses one command line as the server would.

    Args:
        flags: The server's flags.

    Returns:
        What is wrong with them, or None.
    """
    # Here, not above: SGLang exists only in the install's interpreter, in which `main` starts this file
    # again.
    from sglang.srt.server_args import prepare_server_args  # noqa: PLC0415

    noise = io.StringIO()
    try:
        with contextlib.redirect_stderr(noise), contextlib.redirect_stdout(noise):
            prepare_server_args(flags)
    except SystemExit as exit_request:
        lines = noise.getvalue().strip().splitlines()
        if not exit_request.code:
            return "asks for help, starts no server"
        return lines[-1] if lines else "refused without a word"
    except (ValueError, TypeError, OSError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def read_commands(arguments: list[str]) -> list[list[str]]:
    """Finds the command lines to check.

    Args:
        arguments: The arguments without the program's name.

    Returns:
        One list of arguments for each.

    Raises:
        SetupError: If standard input holds no such JSON.
    """
    if arguments:
        return [arguments[1:] if arguments[0] == "--" else arguments]
    try:
        given = json.load(sys.stdin)
    except ValueError as error:
        raise layout.SetupError(f"Standard input is not JSON: {error}") from error
    commands = given if given and all(isinstance(one, list) for one in given) else [given]
    if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in commands):
        raise layout.SetupError("Standard input must hold a list of strings, or a list of such lists.")
    return commands


def enter_install() -> None:
    """Starts this file again in the interpreter that has SGLang, unless that is the one running.

    Raises:
        SetupError: If there is no finished install.
    """
    if Path(sys.prefix) == layout.VENV.resolve():
        return
    if not install.is_installed(layout.VENV):
        raise layout.SetupError("SGLang is not installed: run install.py first.")
    python = str(layout.python_of(layout.VENV))
    os.execve(python, [python, "-W", "ignore", *sys.argv], layout.engine_environment())  # noqa: S606  (no shell wanted)


def main() -> int:
    """Runs the command line.

    Returns:
        0 if every command line is accepted, 1 if one is not, 2 if the question itself cannot be put.
    """
    try:
        enter_install()
        complaints = [complaint(flags_of(command)) for command in read_commands(sys.argv[1:])]
    except layout.SetupError as error:
        print(error, file=sys.stderr)
        return 2
    for found in complaints:
        print(found or "ok")
    return 1 if any(complaints) else 0


if __name__ == "__main__":
    sys.exit(main())
