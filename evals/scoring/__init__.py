"""``llm-service eval``: whether scores mean something and decisions follow from them, measured on any engine.

suite.py      questions with graded answers, variants, situations and attacks, read from TOML
wrappers.py   the same question and answer in prompts of different callers
parts_*.py    what is measured, one part after the other; each item of a part ends in one result
results.py    what one item found out
runner.py     runs the items, keeps every result at once, goes on where it stopped
figures.py    results -> figures; pure
report.py     figures -> the table of the bars, a Markdown report; plots.py draws
"""
