"""API keys as they are stored: never the key itself, only its hash."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Scope = Literal["tasks", "chat", "metrics"]

Limit = Annotated[int | None, Field(ge=1, le=1_000_000_000)]


class KeyRecord(BaseModel):
    """One key. Several may have the same name: an old and a new one while clients change over.

    Attributes:
        id: Finds the record; part of the key, no secret.
        name: Who uses it; shown in logs.
        hash: SHA-256 of the whole key, in hexadecimal digits. Keys hold 256 random bits, so no slow hash is needed.
        scopes: What it opens.
        created: When it was made.
        expires: When it ends by itself, or None.
        revoked: When it was ended by hand, or None.
        requests_per_minute: Instead of KEY_REQUESTS_PER_MINUTE.
        tokens_per_minute: Instead of KEY_TOKENS_PER_MINUTE.
        concurrency: Instead of KEY_CONCURRENCY.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope] = Field(min_length=1)
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    requests_per_minute: Limit = None
    tokens_per_minute: Limit = None
    concurrency: Limit = None

    def state(self, now: datetime) -> Literal["live", "expired", "revoked"]:
        """Whether it opens anything."""
        if self.revoked is not None and self.revoked <= now:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "live"


class KeyFile(BaseModel):
    """The file that API_KEYS_FILE names."""

    model_config = ConfigDict(extra="forbid")

    keys: list[KeyRecord] = Field(default_factory=list[KeyRecord], max_length=10_000)
