"""Whether a text that is being generated runs in circles. Pure."""

from typing import Literal

Runaway = Literal["whitespace", "repetition"]

_BLANKS = 24  # white space in a row: no legal answer has more than one blank in a row
_WINDOW = 480  # characters that are looked at: six times the longest unit
_UNIT = 80  # characters of the longest unit: a sentence of Korean
_COPIES = 6  # a unit may come twice or three times in honest prose, never six times in a row
_COVERED = 60  # characters that the copies cover at least: a row of dashes or a long laugh is shorter
_INTERVAL = 16  # characters between two looks: a look costs more than a piece


class RunawayWatch:
    """Fed the pieces of a text; says when it has begun to loop."""

    def __init__(self) -> None:
        self._tail = ""
        self._blanks = 0
        self._unseen = 0

    def feed(self, piece: str) -> Runaway | None:
        """Why the text counts as a runaway now, or None."""
        bare = piece.replace("\\n", "\n").replace("\\t", "\t")
        kept = bare.rstrip(" \n\t\r")
        self._blanks = len(bare) - len(kept) + (self._blanks if not kept else 0)
        if self._blanks >= _BLANKS:
            return "whitespace"
        self._tail = (self._tail + piece)[-_WINDOW:]
        self._unseen += len(piece)
        if self._unseen < _INTERVAL:
            return None
        self._unseen = 0
        return "repetition" if _loops(self._tail) else None


def _loops(tail: str) -> bool:
    """Whether the end of ``tail`` is one unit again and again.

    A loop of a unit of n characters repeats its last n characters: each candidate is where they stood before.
    """
    probe = tail[-8:]
    at = tail.rfind(probe, 0, len(tail) - 1)
    while at >= 0:
        unit = len(tail) - len(probe) - at
        if unit > _UNIT:
            return False
        covered = max(_COPIES * unit, _COVERED)
        if covered <= len(tail) and tail[-covered:-unit] == tail[-covered + unit :]:
            return True
        at = tail.rfind(probe, 0, at + len(probe) - 1)
    return False
