"""The six kinds of BI integration, by hand from Datafold's contract and docs/connection.md."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_datafold.operators import bi

BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}, {"remoteId": "x", "boundIds": []}]

NOT_GIVEN: Any = (
    inspect.signature(bi.DatafoldUpdateHightouchOperator).parameters["workspace"].default
)
"""What stands for an argument that is left out, which is not the same as null."""


@dataclass(frozen=True)
class Kind:
    """A kind of integration.

    :param title: the product's name.
    :param operator: what updates one.
    :param required: the fields that a configuration has to have, with a value for each.
    :param optional: the other fields, with a value for each.
    :param nullable: the fields that may be null.
    :param secrets: the fields that are secret.
    :param connection: which field an Airflow connection holds where.
    :param only_schedule: whether an update can only change the schedule.
    """

    title: str
    operator: Any
    required: Mapping[str, Any]
    optional: Mapping[str, Any]
    nullable: frozenset[str]
    secrets: frozenset[str] = frozenset()
    connection: Mapping[str, str] = field(default_factory=dict)
    only_schedule: bool = True

    @property
    def fields(self) -> dict[str, Any]:
        """All fields, with a value for each."""
        return {**self.required, **self.optional}

    @property
    def arguments(self) -> dict[str, Any]:
        """The required arguments of the operator, without id and schedule.

        The others come from a connection or, the bindings, from the integration.
        """
        others = {*self.connection.values(), "bindings"}
        return {name: self.required[name] for name in self.required if name not in others}


SHARED: dict[str, Any] = {"indexing_cron": "0 6 * * 1-5", "name": "Ours"}
_SHARED = frozenset(SHARED)

KINDS = {
    "hightouch": Kind(
        "Hightouch",
        bi.DatafoldUpdateHightouchOperator,
        {"token": "secret-1", "bindings": BINDINGS},
        {"workspace": "analytics", **SHARED},
        _SHARED | {"workspace"},
        frozenset({"token"}),
        {"password": "token"},
    ),
    "looker": Kind(
        "Looker",
        bi.DatafoldUpdateLookerOperator,
        {
            "base_url": "https://looker.example.com:19999",
            "client_id": "datafold",
            "client_secret": "secret-2",
            "repo_id": 3,
        },
        {"project_ids": ["sales", "ops"], "bindings": BINDINGS, **SHARED},
        _SHARED,
        frozenset({"client_secret"}),
        {"host": "base_url", "login": "client_id", "password": "client_secret"},
    ),
    "mode": Kind(
        "Mode",
        bi.DatafoldUpdateModeOperator,
        {"token": "secret-3", "password": "secret-4"},
        {"workspace": "analytics", **SHARED},
        _SHARED,
        frozenset({"token", "password"}),
        {"password": "password", "extra": "token"},
    ),
    "tableau": Kind(
        "Tableau",
        bi.DatafoldUpdateTableauOperator,
        {
            "server_url": "https://tableau.example.com",
            "site_id": "sales",
            "token_name": "datafold",
            "token_value": "secret-5",
        },
        SHARED,
        _SHARED,
        frozenset({"token_value"}),
        {
            "host": "server_url",
            "login": "token_name",
            "password": "token_value",
            "extra": "site_id",
        },
    ),
    "powerbi": Kind(
        "Power BI",
        bi.DatafoldUpdatePowerBIOperator,
        {},
        {
            "auth_type": "service_principal",
            "tenant_id": "tenant",
            "client_id": "datafold",
            "client_secret": "secret-6",
            **SHARED,
        },
        _SHARED | {"auth_type", "tenant_id", "client_id", "client_secret"},
        frozenset({"client_secret"}),
        {"login": "client_id", "password": "client_secret", "extra": "tenant_id"},
        only_schedule=False,
    ),
    "dbt": Kind(
        "dbt",
        bi.DatafoldUpdateDbtOperator,
        {"ci_config_id": 4},
        SHARED,
        _SHARED,
        only_schedule=False,
    ),
}
"""By the API's names."""

SECRET_FIELDS = frozenset.union(*(kind.secrets for kind in KINDS.values()))
