"""LLM service for AI interviews: one straight road from HTTP to one generation and back."""

__version__ = "0.1.0"
