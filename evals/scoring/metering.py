"""The same engine, with a count of what its generations cost."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.core.generation import Generation
from app.core.llm_engine import LLMEngine
from app.core.token_stream import TokenStream
from evals.scoring.results import Cost


class MeteredEngine(LLMEngine):
    """An engine that remembers what was spent through this object; everything else it shares with ``engine``.

    Attributes:
        spent: The cost so far.
    """

    def __init__(self, engine: LLMEngine) -> None:
        vars(self).update(vars(engine))
        self.spent = Cost()

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncGenerator[TokenStream, None]:
        """See ``LLMEngine.open``; a generation that is left early counts without its tokens."""
        started = time.perf_counter()
        async with super().open(generation) as tokens:
            try:
                yield tokens
            finally:
                seconds, usage, before = time.perf_counter() - started, tokens.usage, self.spent
                self.spent = Cost(
                    generations=before.generations + 1,
                    seconds=before.seconds + seconds,
                    prompt_tokens=before.prompt_tokens + usage.prompt_tokens,
                    completion_tokens=before.completion_tokens + usage.completion_tokens,
                    cached_tokens=before.cached_tokens + usage.cached_tokens,
                )
