"""Draw the pictures on the pages anew: those of programs there, and of real runs."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from types import ModuleType

from tests.docs.bench import draw_bench
from tests.docs.page import PAGES
from tests.docs.sessions import draw_sessions
from tests.docs.tutorial import draw_tutorial


def draw_pictures() -> None:
    """Run every program that writes a picture, in the folder of its page."""
    for page in PAGES:
        for block in page.drawing:
            os.chdir(page.path.parent)
            module = sys.modules["page"] = ModuleType("page")
            code = compile(page.program(block), page.path, "exec")
            with redirect_stdout(None):
                exec(code, module.__dict__)


if __name__ == "__main__":
    draw_pictures()
    draw_bench()
    draw_sessions()
    draw_tutorial()
