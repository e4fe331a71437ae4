"""Pin the surface as it is now: ``python -m tests.surface``."""

from __future__ import annotations

from tests.surface.files import FILES, path_of

if __name__ == "__main__":
    for name, lines in FILES.items():
        path_of(name).write_text("\n".join(lines()) + "\n", encoding="utf-8")
