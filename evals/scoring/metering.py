"""The same engine, with a count of what its generations cost."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.core.completion import Completion
from app.core.deadline import Deadline
from app.core.generation import Generation, Usage
from app.core.llm_engine import LLMEngine
from app.core.token_stream import TokenStream
from evals.scoring.results import Cost


class MeteredEngine(LLMEngine):
    """An engine that remembers what was spent through this object; everything else it shares with ``engine``.

    Attributes:
        spent: The cost so far; a generation that is left early counts without its tokens.
    """

    def __init__(self, engine: LLMEngine) -> None:
        vars(self).update(vars(engine))
        self.spent = Cost()

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[TokenStream, None]:
        """See ``LLMEngine.open``."""
        started = time.perf_counter()
        async with super().open(generation) as tokens:
            try:
                yield tokens
            finally:
                self._count(started, tokens.usage)

    async def whole(self, generation: Generation, deadline: Deadline, *, paced: bool) -> Completion:
        """See ``LLMEngine.whole``."""
        started, usage = time.perf_counter(), Usage()
        try:
            said = await super().whole(generation, deadline, paced=paced)
            usage = said.usage
            return said
        finally:
            self._count(started, usage)

    def _count(self, started: float, usage: Usage) -> None:
        before = self.spent
        self.spent = Cost(
            generations=before.generations + 1,
            seconds=before.seconds + time.perf_counter() - started,
            prompt_tokens=before.prompt_tokens + usage.prompt_tokens,
            completion_tokens=before.completion_tokens + usage.completion_tokens,
            cached_tokens=before.cached_tokens + usage.cached_tokens,
        )
