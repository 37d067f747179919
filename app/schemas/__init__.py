"""Wire models: what callers send and what they get."""
