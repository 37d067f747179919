"""Runs the real `llm-service doctor`."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from simulator.ports import free_port
from tests.support.service import LLM_SERVICE, clean_environment

LIMIT = 120


@dataclass(frozen=True, slots=True)
class Report:
    """What it said."""

    status: int
    output: str

    def line(self, title: str) -> str:
        """The one line with this title."""
        (found,) = [line for line in self.output.splitlines() if line[9:].startswith(f"{title}: ")]
        return found

    def level(self, title: str) -> str:
        """The level of the line with this title."""
        return self.line(title).split()[0]

    def fix(self, title: str) -> str:
        """The fix in the line with this title."""
        return self.line(title).partition(" Fix: ")[2]

    @property
    def problems(self) -> list[str]:
        """The titles of all problems."""
        return [line[9:].partition(":")[0] for line in self.output.splitlines() if line.startswith("problem ")]


def environment(**variables: str) -> dict[str, str]:
    """A machine on which nothing of ours runs, with these settings."""
    unused = {"APP_HOST": "127.0.0.1", "APP_PORT": str(free_port()), "SGLANG_PORT": str(free_port())}
    return clean_environment(**{**unused, "DEVICE": "cpu", **variables})


def examined(folder: Path, *arguments: str, **variables: str) -> Report:
    """Run it to its end, in a folder without a .env of the developer's."""
    done = subprocess.run(
        [LLM_SERVICE, "doctor", *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.stderr == ""
    return Report(done.returncode, done.stdout)


def levels(report: Report) -> dict[str, str]:
    """Of a report in JSON: the level of each title."""
    return {check["title"]: check["level"] for check in json.loads(report.output)["checks"]}
