"""Every knob of the simulator: the same names serve the command line and `POST /_sim/settings`."""

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """How the simulated engine is sized, how fast it is, and what it calls itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(30000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    model_id: str = Field("Qwen/Qwen3-32B", description="served model name")
    api_key: str | None = Field(None, description="Bearer key that every route but health wants")
    slots: int = Field(64, ge=1, description="requests that run at once (--max-running-requests)")
    max_queued: int | None = Field(None, ge=0, description="requests that may wait; unset: no bound")
    context_length: int = Field(32768, ge=16, description="tokens of prompt and answer together")
    kv_tokens: int | None = Field(None, ge=16, description="KV pool (--max-total-tokens); unset: slots x context")
    prefix_cache: bool = Field(default=True, description="reuse prompt prefixes and report cached_tokens")
    priority: bool = Field(default=False, description="honour `priority` in the queue (--enable-priority-scheduling)")
    grammar_backend: str = Field("xgrammar", description="what /server_info names (--grammar-backend)")
    metrics: bool = Field(default=True, description="serve /metrics (--enable-metrics)")
    ttft: float = Field(0.05, ge=0, description="seconds from start of prefill to the first token")
    prefill_tps: float = Field(0.0, ge=0, description="prompt tokens prefilled a second, added to ttft; 0: free")
    tps: float = Field(50.0, ge=0, description="tokens a second of one stream; 0: as fast as it can")
    tokens_per_chunk: int = Field(1, ge=1, description="tokens in one SSE chunk (--stream-interval)")
    typical_chars: int = Field(60, ge=1, description="length of a generated string when the grammar lets it end")
    disconnect_poll: float = Field(2.0, gt=0, description="seconds between looks for a gone non-stream client")
    drain_poll: float = Field(0.2, gt=0, description="seconds between looks for an empty engine while draining")
    starting: float = Field(0.0, ge=0, description="seconds in the Starting state after the port is open")
    health_seconds: float = Field(0.0, ge=0, description="time /health takes; the real one takes at least 1")
    eos_token_id: int = Field(151645, ge=0, description="`matched_stop` of an answer that ends by itself")
    max_model_len: int | None = Field(None, ge=16, description="what /v1/models reports; unset: context_length")
    seed: int = Field(0, description="mixed into every derived answer")

    @property
    def pool_tokens(self) -> int:
        """Tokens the simulated KV pool holds."""
        return self.kv_tokens or self.slots * self.context_length

    @property
    def longest_input(self) -> int:
        """Longest prompt the pool takes; SGLang keeps a handful of tokens back."""
        return min(self.context_length, self.pool_tokens) - 6
