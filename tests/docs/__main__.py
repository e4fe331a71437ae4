"""Draw every picture on the pages anew, from runs: ``python -m tests.docs``.

It takes a few minutes, and needs tmux and Chromium.
"""

from __future__ import annotations

from tests.docs.pictures.every import draw_every_picture

if __name__ == "__main__":
    draw_every_picture()
