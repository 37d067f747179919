"""What an answer measured a while ago: of a feedback, a step and a report about one answer only the first measures it.

For each answer a caller asks for a feedback and then for a step while the candidate waits, and in the end for a report
on all of them. To measure the answer anew each time costs an engine call and, without a GPU, seconds of the wait; and
one answer could be told two scores. What is kept are numbers under a digest that only this process can make: nothing
of what anybody said.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from app.core.digests import digest_of

_MOST = 4096  # answers, the ones last needed; a few hundred bytes each


class Known(NamedTuple):
    """How one answer was measured.

    Attributes:
        digits: Probability of each digit.
        method: How they were found out.
        bands: The score bands that the caller had stated; empty if it stated none.
        points: The score on 0 to 10 of each digit.
        doubt: Probability that it is not to be believed; None if that was not found out.
    """

    digits: Mapping[int, float]
    method: str
    bands: Sequence[tuple[int, int, str]]
    points: Sequence[float]
    doubt: float | None = None


class Remembered:
    """The answers that were measured lately, for all callers; each has a ``Memory`` of its own."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        """``seconds``: how long a measurement holds; at most so many are kept."""
        self._seconds = seconds
        self._clock = clock
        self._most = most
        self._secret = secrets.token_bytes()
        self._known: OrderedDict[bytes, tuple[float, Known]] = OrderedDict()

    def digest(self, *parts: str) -> bytes:
        """A name for ``parts`` that only this process can make."""
        return digest_of(*parts, key=self._secret)

    def get(self, name: bytes) -> Known | None:
        """What was put under ``name``, if it still holds."""
        until, known = self._known.get(name, (0.0, None))
        if until <= self._clock():
            self._known.pop(name, None)
            return None
        self._known.move_to_end(name)
        return known

    def put(self, name: bytes, known: Known) -> None:
        """Keep ``known``; the one used the longest ago goes if there are too many."""
        self._known[name] = (self._clock() + self._seconds, known)
        self._known.move_to_end(name)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


class Memory(NamedTuple):
    """What one caller's requests know of each other.

    Attributes:
        all_of: Where it is kept.
        owner: The caller; nobody is told what another one's answers measured.
    """

    all_of: Remembered
    owner: str

    def place(self, rubric: str, language: str, question: str, answer: str) -> "Place":
        """Where one answer is remembered; ``rubric``: its version and whatever else it holds."""
        words = (" ".join(text.split()) for text in (question, answer))  # prompts differ in blanks
        return Place(self.all_of, self.all_of.digest(self.owner, rubric, language, *words))


class Place(NamedTuple):
    """Where one answer is remembered."""

    all_of: Remembered
    name: bytes

    def known(self, bands: Sequence[tuple[int, int, str]]) -> Known | None:
        """How it was measured under ``bands``; a prompt that states none takes what was measured under any."""
        known = self.all_of.get(self.name)
        return known if known is not None and (not bands or tuple(bands) == tuple(known.bands)) else None

    def keep(self, known: Known) -> None:
        """From now on it is known so."""
        self.all_of.put(self.name, known)
