"""What the build adds to pyproject.toml: the package's page, and the example DAGs in the wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

API_PAGES = "https://docs.datafold.com/api-reference/introduction"
_RELATIVE_LINK = re.compile(r"(!?)\[([^]]*)]\((?!https?:)([^)]+)\)")


class PackagePage(MetadataHookInterface):
    """Makes the long description and the links of the package's page from the README."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add what `project.dynamic` names.

        :param metadata: the table `project`, whose version is known already.
        """
        address = self.config["address"].rstrip("/")
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": long_description(readme, address, metadata["version"]),
        }
        metadata["urls"] = links(address, metadata["version"])


class ExampleDags(BuildHookInterface[Any]):
    """Puts the example DAGs where registries, and Airflow's `load_examples`, look for them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder to a wheel. An editable installation would only get a stale copy of it.

        :param version: `standard` or `editable`.
        :param build_data: what is built.
        """
        if version == "standard":
            build_data["force_include"]["example_dags"] = "airflow_provider_datafold/example_dags"


def long_description(readme: str, address: str, version: str) -> str:
    """Return the README without relative links, which lead nowhere on the package's page.

    :param readme: the README.
    :param address: the public address of the repository, empty if it has none.
    :param version: the version, whose tag the links lead to.
    """

    def replace(link: re.Match[str]) -> str:
        is_picture, text, target = link.groups()
        if not address:
            return f"*Picture: {text}*" if is_picture else text
        view = "raw" if is_picture else "blob"
        return f"{is_picture}[{text}]({urljoin(f'{address}/{view}/v{version}/README.md', target)})"

    return _RELATIVE_LINK.sub(replace, readme)


def links(address: str, version: str) -> dict[str, str]:
    """Return the links beside the long description.

    :param address: the public address of the repository, empty if it has none.
    :param version: the version, whose tag they lead to.
    """
    if not address:
        return {"Documentation": API_PAGES}
    files = f"{address}/blob/v{version}"
    return {
        "Documentation": f"{files}/docs/index.md",
        "Source": address,
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }
