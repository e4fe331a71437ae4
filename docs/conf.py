"""How the site is built from these pages: `make docs`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent

sys.path[:0] = [str(DOCS / "_extensions"), str(ROOT)]

from source_pages import linkcode_resolve  # noqa: E402, F401 - of sphinx.ext.linkcode

with (ROOT / "pyproject.toml").open("rb") as file:
    _metadata = tomllib.load(file)["project"]

project = "trio_tcp"
author = "the trio_tcp authors"
copyright = author  # noqa: A001 - Sphinx's name for it
release = version = _metadata["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.linkcode",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "sphinxcontrib_trio",
    # Those of docs/_extensions:
    "colons",
    "dark_pictures",
    "name_links",
    "outside_references",
    "public_names",
    "reference_entries",
    "repository_pages",
    "self_contained",
    "signatures",
    "source_pages",
]

# Pages

exclude_patterns = ["_extensions"]
nitpicky = True
myst_heading_anchors = 6
myst_url_schemes = ["https", "source"]
myst_enable_extensions = ["html_image"]

# The reference

default_role = "py:obj"
autodoc_default_options = {"members": True}
autodoc_use_legacy_class_based = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_attr_annotations = True
napoleon_custom_sections = ["Cancellation"]

# What an argument must be able to do, as a type that users have no name for: the text
# of the argument says it. And what is documented nowhere by its name.
_UNNAMED = (
    "Collector|DecodeBatch|Delivery|FindExtent|Flow|HeldBack|Metric|Receiver"
    "|SearchStrategy|Serve|WatchedPool|WatchedRequester"
)
nitpick_ignore_regex = [
    ("py:class", rf"(.*\.)?({_UNNAMED})"),
    ("py:class", r"prometheus_client\..*"),
    ("py:obj", "Delivery"),
]

# How it looks

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"trio_tcp {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
codeautolink_concat_default = True  # programs of a page go on from those above
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
