"""How Sphinx builds the documentation: ``tox -e docs``, or ``sphinx-build docs docs/_build``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
# What is compiled has no docstrings of attributes: the reference is of the sources, whichever
# form is installed.
os.environ["GNET_PURE"] = "1"

project = "gnet"
author = "the gnet project"
copyright = author
found = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "gnet" / "__init__.py").read_text("utf-8"), re.MULTILINE
)
assert found is not None
release = version = found[1]

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
default_role = "any"
nitpicky = True
# The standard library's and gevent's names have no page here, nor has what is private: rooms with
# an underscore, and the files behind a package's face.
nitpick_ignore_regex = [
    ("py:.*", r"(?!gnet\b).*"),
    ("py:.*", r"gnet(\..+)?\._.*"),
    ("py:.*", r"gnet\.\w+\.[a-z_]+\..*"),
]

autodoc_member_order = "alphabetical"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"gnet {release}"
html_static_path = ["static"]
html_css_files = ["narrow.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
