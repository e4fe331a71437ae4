from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.examples.conftest import Programs

SVG = "{http://www.w3.org/2000/svg}"


async def test_with_jitter_there_are_no_waves(
    programs: Programs, tmp_path: Path
) -> None:
    """Without it all clients come in the same tenth of a second."""
    picture = tmp_path / "picture.svg"
    program = await programs.start(
        "thousand_clients.py", "--clients", 20, "--seconds", 15, picture
    )
    output = await program.ends()
    found = re.fullmatch(
        r"without jitter: 20 in the worst 0\.1 s\n"
        r"with full jitter: (\d+) in the worst 0\.1 s\n",
        output,
    )
    assert found is not None
    assert int(found[1]) < 15
    root = ET.parse(picture).getroot()
    assert root.findtext(f"{SVG}title") == "20 clients whose server restarts"
    assert f"with full jitter at most {found[1]}" in (root.findtext(f"{SVG}desc") or "")
    assert len(root.findall(f".//{SVG}path[@class='bars']")) == 2
