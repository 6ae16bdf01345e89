"""How Sphinx builds the site from these pages and the docstrings: ``make docs``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_datafold import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Airflow writes its settings into its home when it is imported.
os.environ["AIRFLOW_HOME"] = str(Path(__file__).parents[1] / "build" / "airflow")

project = "airflow-provider-datafold"
release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["integration-logos"]

# Links to headings, as on GitHub.
myst_heading_anchors = 4

nitpicky = True
nitpick_ignore_regex = [
    # The build reads nothing from the network, so it does not know other projects' pages.
    (r"py:.*", r"(airflow|collections|datetime|os|requests)\..*|datetime|timedelta"),
    (r"py:.*", r"AirflowSkipException|Context"),
    # What is behind the public names has no page.
    (r"py:.*", r"airflow_provider_datafold\.(api|jobs|omitted|redaction)(\..*)?|JobHook"),
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"Datafold for Apache Airflow {release}"
html_logo = html_favicon = "integration-logos/datafold.svg"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
# The search finds what an index lists. A summary of a hit would need a server to fetch it from.
html_use_index = html_domain_indices = False
html_show_search_summary = False

_INCLUDED = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
_EXAMPLE = re.compile(r"]\(\.\./example_dags/(\w+)\.py\)")
_LISTED = re.compile(r"^- \[(\w+\.py)]\(\.\./example_dags/\1\) (.*)$", re.MULTILINE)
_ROOT_PAGE = re.compile(r"]\((?:\.\./)?([A-Z]+)\.md\b")


def _shown(found: re.Match[str]) -> str:
    return (
        f"## {found[1]}\n\nIt {found[2]}\n\n```{{literalinclude}} ../example_dags/{found[1]}\n```\n"
    )


def setup(app: Sphinx) -> None:
    """Have links, which fit the repository's folders, fit the site as well.

    :param app: the build.
    """

    def replace(app: Sphinx, page: str, source: list[str]) -> None:
        text = _INCLUDED.sub(lambda found: Path(app.srcdir, found[1]).read_text("utf-8"), source[0])
        text = text.replace("](docs/", "](")
        text = _ROOT_PAGE.sub(lambda found: f"]({found[1].lower()}.md", text)
        # On GitHub a link is enough; the site has the code.
        text = _LISTED.sub(_shown, text)
        source[0] = _EXAMPLE.sub(r"](example_dags.md#\1py)", text)

    app.connect("source-read", replace)
