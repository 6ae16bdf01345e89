"""The part of the hook that changes BI integrations: more than a call of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.bi import (
    SYNC,
    UPDATE,
    BIMethods,
    Tool,
    differences,
    find,
    public,
)
from airflow_provider_datafold.omitted import OMITTED, Omitted
from airflow_provider_datafold.redaction.secret import concealed

if TYPE_CHECKING:
    from airflow_provider_datafold.connection.settings import Settings


class IntegrationMethods(BIMethods):
    """The hook's methods for BI lineage."""

    if TYPE_CHECKING:

        @property
        def _settings(self) -> Settings:
            """The connection's."""

    def sync_integration(self, bi_datasource_id: int | str) -> Any:
        """Start an unscheduled synchronization (``GET .../bi/{bi_datasource_id}/sync/``).

        Although it is a ``GET``, it starts something, so it is sent again only if it was not
        processed.

        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :return: the parsed response, ``None`` for an empty one; the API documents no shape, and
            does not report the end of the synchronization.
        """
        answer = self.call(SYNC, bi_datasource_id=bi_datasource_id)
        self.log.info(
            "%s accepted the sync request of integration %s.",
            self._settings.place,
            fields.positive_integer("bi_datasource_id", bi_datasource_id),
        )
        return answer

    @concealed
    def update_integration(
        self,
        kind: str,
        bi_datasource_id: int | str,
        config: Mapping[str, Any],
        *,
        only_if_changed: bool = False,
    ) -> Any:
        """Change a BI integration (``PUT /api/v1/lineage/bi/{kind}/{bi_datasource_id}/``).

        For Hightouch, Looker, Mode and Tableau an update changes only the schedule. For Power BI
        and dbt it changes every field you pass. If the integration has another value for a field
        than was given, the log has a warning. The contract does not say what happens to the
        schedule if ``indexing_cron`` is not in ``config``.

        :param kind: as for :meth:`create_integration`.
        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :param config: as for :meth:`create_integration`; ``indexing_cron`` is a cron expression
            of five fields, ``None`` for no schedule. With ``None`` for ``bindings``, the
            integration is read first and its own are sent.
        :param only_if_changed: whether to read the integration first, and to send nothing if it
            already has the ``indexing_cron`` of ``config``. For ``powerbi`` and ``dbt`` the other
            fields, except secrets, must be the same, too.
        :return: the parsed response; the API documents no shape. If nothing was sent, the
            integration as it was read. Secrets in it are replaced.
        """
        found, number, body = self._guarded(
            lambda: (
                found := find(kind),
                fields.positive_integer("bi_datasource_id", bi_datasource_id),
                found.body(config, keeps=True),
            ),
            kind,
            bi_datasource_id,
            config,
        )
        name = f"{found.title} integration {number}"
        given = public(body)
        if keeps_bindings := given.get("bindings", OMITTED) is None:
            del given["bindings"]
        if only_if_changed or keeps_bindings:
            integration = self.get_integration(number)
            if only_if_changed and _is_unchanged(found, integration, given):
                self.log.info(
                    "%s: %s already, so nothing was sent to %s.",
                    name,
                    _schedule(body),
                    self._settings.place,
                )
                self._warn(found, body, given, integration)
                return integration
            if keeps_bindings:
                body = found.with_bindings_of(integration, body)
        request = UPDATE[found.name].request(bi_datasource_id=number)
        # What was read for it has been checked, too.
        answer = self._send(replace(request, body=body))
        self.log.info("%s: %s; accepted by %s.", name, _schedule(body), self._settings.place)
        self._warn(found, body, given, answer)
        return answer

    def _warn(
        self, kind: Tool, body: Mapping[str, Any], given: Mapping[str, Any], integration: Any
    ) -> None:
        """Warn of each field for which the integration has another value than was given."""
        redactor = self._redactor(body)
        for field, wanted, returned in differences(given, integration):
            self.log.warning(
                "%s was given as %s, but Datafold returned %s. %s",
                field,
                redactor.text(fields.format_value(wanted)),
                redactor.text(fields.format_value(returned)),
                _advice(kind, field),
            )

    @concealed
    def update_hightouch_integration(
        self,
        bi_datasource_id: int | str,
        *,
        token: str,
        indexing_cron: str | None,
        name: str | Omitted | None = OMITTED,
        bindings: Any = None,
        workspace: str | Omitted | None = OMITTED,
        only_if_changed: bool = False,
    ) -> Any:
        """Change the schedule of a Hightouch integration.

        ``PUT /api/v1/lineage/bi/hightouch/{bi_datasource_id}/``: :meth:`update_integration` for
        this kind, with its fields as arguments.

        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :param token: the Hightouch API token.
        :param indexing_cron: a cron expression of five fields, ``None`` for no schedule.
        :param name: the integration's name; not sent by default, ``None`` is sent as null.
        :param bindings: list of ``{"remoteId": str, "boundIds": [int]}``; by default those of the
            integration, which is then read first.
        :param workspace: the Hightouch workspace; as for ``name``.
        :param only_if_changed: as for :meth:`update_integration`.
        :return: as for :meth:`update_integration`.
        """
        config = {
            "token": token,
            "bindings": bindings,
            "indexing_cron": indexing_cron,
            "name": name,
            "workspace": workspace,
        }
        return self.update_integration(
            "hightouch", bi_datasource_id, config, only_if_changed=only_if_changed
        )


def _schedule(body: Mapping[str, Any]) -> str:
    if "indexing_cron" not in body:
        return "updated without indexing_cron"
    if body["indexing_cron"] is None:
        return "schedule removed (indexing_cron null)"
    return f"indexing_cron {body['indexing_cron']!r}"


def _advice(kind: Tool, field: str) -> str:
    if not kind.only_schedule or field == "indexing_cron":
        return "Look at the integration in Datafold."
    own = " With bindings=None it sends the integration's own." if field == "bindings" else ""
    return f"An update of this kind changes only the schedule.{own}"


def _is_unchanged(kind: Tool, integration: Any, given: Mapping[str, Any]) -> bool:
    """Return whether an update would change nothing that Datafold shows."""
    if not isinstance(integration, dict) or "indexing_cron" not in given:
        return False
    names = ["indexing_cron"] if kind.only_schedule else list(given)
    are_shown = all(name in integration for name in names)
    return are_shown and not any(differences({name: given[name] for name in names}, integration))
