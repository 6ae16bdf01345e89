"""Audit logs: who did what in Datafold."""

from __future__ import annotations

from typing import Any

from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.omitted import OMITTED

LIST = Operation("GET", "/api/v1/audit_logs", Effect.READS, "audit log", dict, body_name="period")


class AuditLogMethods(Caller):
    """The hook's methods for audit logs."""

    def list_audit_logs(self, *, start_date: Any = None, end_date: Any = None) -> dict[str, Any]:
        """List what users did (``GET /api/v1/audit_logs``, which has a body).

        :param start_date: leave out earlier entries; a :class:`~datetime.datetime` with a time
            zone, or an ISO 8601 string with one.
        :param end_date: leave out later entries; the same.
        :return: ``logs``, a list.
        """
        given = {"start_date": start_date, "end_date": end_date}
        period = {name: value for name, value in given.items() if value is not None}
        return self.call(LIST, period or OMITTED)
