"""What the READMEs print."""

import re

from tests.support.service import ROOT

READMES = ("README.md", "README.en.md")
PRINTED = "http://127.0.0.1:8000"


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of one language in the README ``name``."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text("utf-8"), flags=re.DOTALL)
