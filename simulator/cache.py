"""The prefix cache: how much of a prompt an earlier one already paid for."""

from bisect import bisect_left, insort
from collections import deque


class PrefixCache:
    """Remembers prompts; of a sorted set of texts, the longest shared prefix is always with a neighbour."""

    def __init__(self, capacity_tokens: int) -> None:
        self._capacity = capacity_tokens
        self._sorted: list[str] = []
        self._oldest: deque[tuple[str, int]] = deque()
        self._held = 0

    def clear(self) -> None:
        """Forget everything."""
        self._sorted.clear()
        self._oldest.clear()
        self._held = 0

    @property
    def held_tokens(self) -> int:
        """Tokens in the cache, counted as if none were shared."""
        return self._held

    def cached_tokens(self, prompt: str, pieces: list[str]) -> int:
        """Tokens of the prompt that are cached; the last one is always computed."""
        at = bisect_left(self._sorted, prompt)
        near = self._sorted[max(0, at - 1) : at + 1]
        shared = max((_shared(prompt, other) for other in near), default=0)
        count = length = 0
        for piece in pieces[:-1]:
            length += len(piece)
            if length > shared:
                break
            count += 1
        return count

    def add(self, prompt: str, tokens: int) -> None:
        """Keep a prompt, forgetting the oldest ones over the capacity."""
        at = bisect_left(self._sorted, prompt)
        if at < len(self._sorted) and self._sorted[at] == prompt:
            return
        insort(self._sorted, prompt)
        self._oldest.append((prompt, tokens))
        self._held += tokens
        while self._held > self._capacity and self._oldest:
            old, freed = self._oldest.popleft()
            del self._sorted[bisect_left(self._sorted, old)]
            self._held -= freed


def _shared(left: str, right: str) -> int:
    """Length of the common prefix, by halving: comparing slices is far cheaper than characters."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
