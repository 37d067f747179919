"""What a scenario found, against what it should have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One figure and its bar."""

    name: str
    figure: str
    bar: str
    held: bool


@dataclass(slots=True)
class Verdict:
    """All figures of one scenario."""

    checks: list[Check] = field(default_factory=list[Check])

    def at_most(self, name: str, figure: float, bar: float, unit: str = "") -> None:
        """``figure`` must not be more than ``bar``."""
        self.checks.append(Check(name, f"{figure:.4g}{unit}", f"<= {bar:g}{unit}", figure <= bar))

    def at_least(self, name: str, figure: float, bar: float, unit: str = "") -> None:
        """``figure`` must not be less than ``bar``."""
        self.checks.append(Check(name, f"{figure:.4g}{unit}", f">= {bar:g}{unit}", figure >= bar))

    def none(self, name: str, found: Sequence[object]) -> None:
        """Nothing of the kind may have been found."""
        shown = f"{len(found)}" + (f", for example {str(found[0])[:160]}" if found else "")
        self.checks.append(Check(name, shown, "0", not found))

    def note(self, name: str, figure: str) -> None:
        """A figure without a bar."""
        self.checks.append(Check(name, figure, "", held=True))

    @property
    def held(self) -> bool:
        """Whether every figure is within its bar."""
        return all(check.held for check in self.checks)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that ``part`` of the values do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else 0.0
