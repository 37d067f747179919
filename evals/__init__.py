"""Measurements of a running service: commands that anyone can run, and the tables in docs/ come from them."""
