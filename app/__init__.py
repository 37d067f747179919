"""LLM service for AI interviews: one straight road from HTTP to one generation and back."""

import sys
from importlib import import_module

__version__ = "0.1.0"


def _load_structlog() -> None:
    """Load structlog as if there were no rich.

    Where there is, it loads it with pygments to colour tracebacks: 4 MB in a process that writes JSON, and on a
    terminal those tracebacks show local variables, which hold what candidates said.
    """
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # pyright: ignore[reportArgumentType]  Python's own sign for "cannot be imported"
        try:
            import_module("structlog")
        finally:
            del sys.modules["rich"]


_load_structlog()
