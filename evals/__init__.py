"""Measurements of a running service and of grammar engines: commands for anyone; the tables in docs/ come from them."""
