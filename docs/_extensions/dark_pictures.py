"""Pictures that are another file on a dark screen: `x_dark.png` beside `x.png`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class DarkPictures(SphinxTransform):
    """Show both, each with the class by which the theme hides one of them."""

    default_priority: int | None = 400

    def apply(self) -> None:
        """Put the dark one behind each picture that has one."""
        for image in list(self.document.findall(nodes.image)):
            uri = Path(image["uri"])
            dark = uri.with_stem(f"{uri.stem}_dark")
            if not Path(self.env.relfn2path(str(dark))[1]).exists():
                continue
            other = image.deepcopy()
            other["uri"] = str(dark)
            image["classes"].append("only-light")
            other["classes"].append("only-dark")
            image.parent.insert(image.parent.index(image) + 1, other)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_transform(DarkPictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
