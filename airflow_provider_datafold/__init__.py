"""Apache Airflow provider for Datafold.

Airflow reads this module to learn what the package offers, in every one of its processes,
so it imports nothing of weight, not even Airflow.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_datafold.connection.form import EXTRA_FIELDS, FIELD_BEHAVIOUR

__version__ = "0.1.0"

USER_AGENT = f"airflow-provider-datafold/{__version__}"
"""What requests are sent as."""


def get_provider_info() -> dict[str, Any]:
    """Describe the provider as Airflow's ``provider_info.schema.json`` asks."""
    integration = "Datafold"
    return {
        "package-name": "airflow-provider-datafold",
        "name": "Datafold",
        "versions": [__version__],
        "description": "Data diffs, monitors, CI, data sources and BI lineage of "
        "`Datafold <https://www.datafold.com/>`__",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.datafold.com/",
                "logo": "/docs/integration-logos/datafold.svg",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {
                "integration-name": integration,
                "python-modules": ["airflow_provider_datafold.hooks.datafold"],
            }
        ],
        "operators": [
            {
                "integration-name": integration,
                "python-modules": [
                    "airflow_provider_datafold.operators.bi",
                    "airflow_provider_datafold.operators.ci",
                    "airflow_provider_datafold.operators.data_diffs",
                    "airflow_provider_datafold.operators.data_sources",
                    "airflow_provider_datafold.operators.dbt",
                    "airflow_provider_datafold.operators.monitors",
                    "airflow_provider_datafold.operators.summary",
                    "airflow_provider_datafold.operators.tables",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": integration,
                "python-modules": [
                    "airflow_provider_datafold.sensors.data_diffs",
                    "airflow_provider_datafold.sensors.monitors",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": integration,
                "python-modules": [
                    "airflow_provider_datafold.triggers.job",
                    "airflow_provider_datafold.triggers.monitors",
                ],
            }
        ],
        "connection-types": [
            {
                "connection-type": "datafold",
                "hook-class-name": "airflow_provider_datafold.hooks.datafold.DatafoldHook",
                "hook-name": "Datafold",
                "ui-field-behaviour": FIELD_BEHAVIOUR,
                "conn-fields": EXTRA_FIELDS,
            }
        ],
        "config": {
            "datafold": {
                "description": "Settings of the provider for Datafold.",
                "options": {
                    "page": {
                        "description": "Whether the pages of DAGs and of their runs have a tab "
                        "with the verdicts of gates and monitors, from Airflow 3.1 on.",
                        "version_added": __version__,
                        "type": "boolean",
                        "example": None,
                        "default": "False",
                    }
                },
            }
        },
        "extra-links": [
            "airflow_provider_datafold.links.DatafoldLink",
            "airflow_provider_datafold.links.DatafoldDataDiffLink",
        ],
    }
