"""The section BI: integrations, and when Datafold reads them."""

from __future__ import annotations

import copy
from typing import Any

from fastapi import HTTPException

from dev.sandbox import contract, schema
from dev.sandbox.contract import Operation
from dev.sandbox.journal import Audit
from dev.sandbox.register import Register
from dev.sandbox.router import Router

Integration = dict[str, Any]

ASSUMPTION = (
    "Of the section BI, the contract documents what a request looks like, not what an answer looks "
    "like. That an integration is answered as its id, its type and its configuration without the "
    "secrets, a synchronization as null and a removal as nothing, is this sandbox's own assumption."
)

_BINDINGS = [{"remoteId": "1", "boundIds": [1, 2]}]
_CONFIGS: dict[str, dict[str, Any]] = {
    "hightouch": {"workspace": "analytics", "bindings": _BINDINGS},
    "looker": {
        "base_url": "https://looker.example.com",
        "client_id": "looker-client",
        "repo_id": 3,
        "project_ids": ["sales"],
        "bindings": _BINDINGS,
    },
    "mode": {"workspace": "analytics"},
    "tableau": {
        "server_url": "https://tableau.example.com",
        "site_id": "sales",
        "token_name": "datafold",
    },
    "powerbi": {"auth_type": "delegated", "tenant_id": None, "client_id": None},
    "dbt": {"ci_config_id": 4},
}
_ONLY_SCHEDULE = {"hightouch", "looker", "mode", "tableau"}
"""The kinds whose update changes only the schedule."""
FIRST_OTHER = 1001
"""Id of the first integration that is not of kind Hightouch; there is one of each kind."""

router = Router()


def integration(bi_datasource_id: int, kind: str) -> Integration:
    """Return an integration before its first update."""
    return {
        "id": bi_datasource_id,
        "type": kind,
        "name": f"{kind.capitalize()} {bi_datasource_id}",
        **copy.deepcopy(_CONFIGS[kind]),
        "indexing_cron": "0 0 * * *",
    }


def first(count: int) -> Register[Integration]:
    """Return the integrations that exist from the beginning."""
    kinds = dict.fromkeys(range(1, count + 1), "hightouch")
    kinds |= dict(enumerate([kind for kind in _CONFIGS if kind != "hightouch"], FIRST_OTHER))
    return Register(
        "Integration", {number: integration(number, kind) for number, kind in kinds.items()}
    )


@router.handles("GET", "/api/v1/lineage/bi/")
def list_all(integrations: Register[Integration]) -> Any:
    return list(integrations.values())


@router.handles("GET", "/api/v1/lineage/bi/{bi_datasource_id}/")
def show(integrations: Register[Integration], bi_datasource_id: int) -> Any:
    return integrations[bi_datasource_id]


@router.handles("GET", "/api/v1/lineage/bi/{bi_datasource_id}/sync/", changes=True)
def sync(integrations: Register[Integration], audit: Audit, bi_datasource_id: int) -> None:
    """Accept a request to index an integration now."""
    audit.note("sync", integrations[bi_datasource_id])


@router.handles("DELETE", "/api/v1/lineage/bi/{bi_datasource_id}/")
def delete(integrations: Register[Integration], audit: Audit, bi_datasource_id: int) -> None:
    audit.note("delete", integrations[bi_datasource_id])
    del integrations[bi_datasource_id]


def serve(kind: str) -> None:
    """Serve the two operations of a kind."""
    path = f"/api/v1/lineage/bi/{kind}/"

    def visible(body: dict[str, Any]) -> dict[str, Any]:
        config = contract.config(contract.document(), Operation("POST", path))
        return schema.completed(config or {}, body)

    @router.handles("POST", path)
    def create(integrations: Register[Integration], audit: Audit, body: dict[str, Any]) -> Any:
        number = integrations.number()
        created = {"id": number, "type": kind, **visible(body)}
        integrations[number] = created
        audit.note("create", created)
        return created

    @router.handles("PUT", path + "{bi_datasource_id}/")
    def update(
        integrations: Register[Integration],
        audit: Audit,
        bi_datasource_id: int,
        body: dict[str, Any],
    ) -> Any:
        updated = integrations[bi_datasource_id]
        if updated["type"] != kind:
            raise HTTPException(404, "Integration not found")
        changes = visible(body)
        if kind in _ONLY_SCHEDULE:
            changes = {"indexing_cron": changes["indexing_cron"]}
        updated.update(changes)
        audit.note("update", updated)
        return updated


for _kind in _CONFIGS:
    serve(_kind)
