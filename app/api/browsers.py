"""What browsers are told: nothing of ours may be framed, sniffed, or called from another origin unless allowed.

No cookie is ever set or read, so there is nothing that another site's page could make a browser send.
"""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

# /docs and /redoc start from a script in the page; everything else they load is ours.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""A header of every response."""
FOR_PAGES = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
"""Headers of pages."""


def allow_origins(app: FastAPI, origins: str) -> None:
    """Let pages of ``origins`` (by commas) call the service; without any, browsers let nobody but its own pages."""
    allowed = [origin.strip() for origin in origins.split(",") if origin.strip()]
    if allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "X-Request-Timeout"],
            expose_headers=["X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy"],
            allow_credentials=False,
            max_age=600,
        )
