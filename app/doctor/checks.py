"""What one check found. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Attributes:
        level: ``ok``, ``warning`` (works, but not as well as it could) or ``problem`` (does not work).
        title: What was looked at.
        detail: What was found.
        fix: What to do about it; empty if there is nothing to do.
    """

    level: Level
    title: str
    detail: str
    fix: str = ""

    @property
    def line(self) -> str:
        """As one line of text."""
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.level:<8} {self.title}: {self.detail}{fix}"


def ok(title: str, detail: str) -> Check:
    """Nothing to do."""
    return Check("ok", title, detail)


def warning(title: str, detail: str, fix: str) -> Check:
    """It works, but not as well as it could."""
    return Check("warning", title, detail, fix)


def problem(title: str, detail: str, fix: str) -> Check:
    """It does not work."""
    return Check("problem", title, detail, fix)


def exit_status(checks: Iterable[Check]) -> int:
    """0 if nothing is wrong, else 1. A warning is not wrong: no GPU on a machine that needs none is one."""
    return int(any(check.level == "problem" for check in checks))
