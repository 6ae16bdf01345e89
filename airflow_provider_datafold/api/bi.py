"""BI lineage: the integrations of Hightouch, Looker, Mode, Tableau, Power BI and dbt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.kinds import KINDS, find
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.redaction.frames import concealed

_BI = "/api/v1/lineage/bi/"


def _operation(method: str, path: str, effect: Effect, **more: Any) -> Operation[Any]:
    return Operation(
        method,
        _BI + path,
        effect,
        "integration",
        object,
        carries_secrets=True,
        is_classic=True,
        **more,
    )


LIST = _operation("GET", "", Effect.READS)
GET = _operation("GET", "{bi_datasource_id}/", Effect.READS)
DELETE = _operation("DELETE", "{bi_datasource_id}/", Effect.SETS, may_be_empty=True)
SYNC = _operation("GET", "{bi_datasource_id}/sync/", Effect.STARTS, may_be_empty=True)
CREATE = {
    kind.name: _operation("POST", f"{kind.name}/", Effect.STARTS, body=kind.body)
    for kind in KINDS.values()
}
UPDATE = {
    kind.name: _operation(
        "PUT",
        f"{kind.name}/{{bi_datasource_id}}/",
        Effect.SETS,
        body=kind.body,
        to_check=f"the id, that it is a {kind.title} integration",
    )
    for kind in KINDS.values()
}


class BIMethods(Caller):
    """The hook's methods for BI lineage that only call an operation.

    The contract does not say what they return.
    """

    def list_integrations(self) -> Any:
        """List all BI integrations (``GET /api/v1/lineage/bi/``).

        :return: the parsed response; the API documents no shape.
        :raises DatafoldError: see :meth:`call`.
        """
        return self.call(LIST)

    def get_integration(self, bi_datasource_id: int | str) -> Any:
        """Read a BI integration (``GET /api/v1/lineage/bi/{bi_datasource_id}/``).

        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :return: the parsed response; the API documents no shape.
        :raises DatafoldError: see :meth:`call`.
        """
        return self.call(GET, bi_datasource_id=bi_datasource_id)

    def delete_integration(self, bi_datasource_id: int | str) -> Any:
        """Remove a BI integration (``DELETE /api/v1/lineage/bi/{bi_datasource_id}/``).

        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :return: the parsed response, ``None`` for an empty one; the API documents no shape.
        :raises DatafoldNotFoundError: there is no such integration. If the message says that this
            was a second attempt, the first one may have removed it.
        :raises DatafoldError: see :meth:`call`.
        """
        return self.call(DELETE, bi_datasource_id=bi_datasource_id)

    @concealed
    def create_integration(self, kind: str, config: Mapping[str, Any]) -> Any:
        """Create a BI integration (``POST /api/v1/lineage/bi/{kind}/``).

        :param kind: ``"hightouch"``, ``"looker"``, ``"mode"``, ``"tableau"``, ``"powerbi"`` or
            ``"dbt"``.
        :param config: values by the API's names of the fields, secrets included;
            :data:`~airflow_provider_datafold.api.kinds.KINDS` says which fields a kind has.
        :return: the parsed response; the API documents no shape. Secrets in it are replaced.
        :raises DatafoldError: see :meth:`call`.
        """
        found = self._checked(lambda: find(kind), kind, config)
        return self.call(CREATE[found.name], config)
