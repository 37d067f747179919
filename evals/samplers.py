"""Random walks through a grammar. Runs in SGLang's own interpreter.

Drawing uniformly from what a grammar allows would need a mask for every token (0.03 to 0.5 ms). Instead a token is
drawn from a sampler's favourites and offered to the matcher; only after some refusals is the mask computed, and where
it allows few tokens they are remembered for the next walk that comes by. Whatever is proposed, the matcher decides. One
token in ``_AUDIT`` is taken from the mask in any case, as an engine takes all of them: a matcher that refuses what its
own mask allowed ends the walk, as it ends a request in SGLang.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals import vocabulary
from evals.grammar_engines import Matcher, np
from evals.walk_order import Fate

_OFFERS = 16  # tokens offered before the mask is computed
_AUDIT = 128
_LONG_LISTS = 50  # one walk in so many fills its lists to the end: twenty report entries are 5,000 tokens
_FEW = 64  # allowed tokens: the mark of a place between values
_TAIL = 12  # bytes by which such a place is known again
_PLACES = 200_000  # places remembered, so that memory is bounded

_ESCAPES = frozenset(b'\\"' + bytes(range(32)) + b"\x7f")


@dataclass(frozen=True, slots=True)
class Walk:
    """One generation: its tokens and how it ended."""

    tokens: list[int]
    fate: Fate


class Sampler:
    """Prefers some tokens; see ``SAMPLERS``."""

    def __init__(self, tokens: Sequence[bytes], favourites: Sequence[int], share: float, *, long: bool = False) -> None:
        """``share`` of the offers come from ``favourites``; ``long`` avoids whatever ends a text or a list."""
        self._tokens = tokens
        self._favourites = favourites
        self._share = share
        self._long = long
        self._everything = [number for number, token in enumerate(tokens) if token]
        self._is_favourite = np.zeros(len(tokens), dtype=bool)
        self._is_favourite[list(favourites)] = True
        # What was allowed where few tokens were, by the end of the text before (and which way lists go on).
        self._places: dict[bytes, list[int]] = {}
        self._first = np.array([token[0] if token else 0 for token in tokens], dtype=np.uint8)

    def walk(self, matcher: Matcher, seed: str, limit: int) -> Walk:
        """One walk from the start to its end or to ``limit`` tokens; the same on a fresh sampler with the same seed."""
        draw = random.Random(seed).random  # noqa: S311  (nothing secret)
        continues = b"," if draw() * _LONG_LISTS < 1 else b"]"
        matcher.reset()
        taken: list[int] = []
        tail = continues
        while len(taken) < limit:
            token = self._offer(matcher, tail, draw)
            if token is None:
                allowed = matcher.allowed()
                if not len(allowed):
                    return Walk(taken, "stuck")
                token = self._pick(allowed, tail, draw)
                if not matcher.accept(token):
                    return Walk(taken, "refused")
            taken.append(token)
            if matcher.complete():
                return Walk(taken, "done")
            tail = continues + (tail[1:] + self._tokens[token])[-_TAIL:]
        return Walk(taken, "endless")

    def _offer(self, matcher: Matcher, tail: bytes, draw: Any) -> int | None:
        """A token that the matcher took, or None."""
        if draw() * _AUDIT < 1:
            return None
        if (few := self._places.get(tail)) and matcher.accept(token := few[int(draw() * len(few))]):
            return token
        for _ in range(_OFFERS):
            source = self._favourites if draw() < self._share else self._everything
            token = source[int(draw() * len(source))]
            if matcher.accept(token):
                return token
        return None

    def _pick(self, allowed: Any, tail: bytes, draw: Any) -> int:
        """A token of the mask, one of the favourites if there is any."""
        liked = allowed[self._is_favourite[allowed]]
        few = len(allowed) < _FEW
        if self._long and few:
            onward = allowed[self._first[allowed] == tail[0]]
            liked = onward if len(onward) else liked
        chosen = liked if len(liked) and draw() < self._share else allowed
        if few and len(self._places) < _PLACES:
            self._places[tail] = chosen.tolist()
        return int(chosen[int(draw() * len(chosen))])


def _whole(token: bytes) -> bool:
    try:
        token.decode()
    except UnicodeDecodeError:
        return False
    return True


def samplers(tokens: Sequence[bytes]) -> dict[str, Sampler]:
    """The four of the table in docs/decoding.md, by name."""
    plain = [number for number, token in enumerate(tokens) if token and b'"' not in token]
    # Quotes, backslashes, control bytes, and pieces of characters: whatever might smuggle in what the grammar forbids.
    escaping = [n for n, token in enumerate(tokens) if token and (_ESCAPES & set(token) or not _whole(token))]
    blank = [n for n, token in enumerate(tokens) if token and (token[:1].isspace() or token[-1:].isspace())]
    return {
        "uniform": Sampler(tokens, [number for number, token in enumerate(tokens) if token], 1.0),
        "long strings": Sampler(tokens, plain, 1.0, long=True),
        "escapes": Sampler(tokens, escaping, 0.7),
        "white space": Sampler(tokens, blank, 0.9),
    }


def text_of(walk: Walk, tokens: Sequence[bytes]) -> bytes:
    """What a server would return: control tokens are left out."""
    return b"".join(tokens[number] for number in walk.tokens if number not in vocabulary.HIDDEN)
