"""Monitors: checks of data on a schedule, and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_datafold.api import fields, shape
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation

KINDS = ("diff", "metric", "schema", "test")
"""The kinds of monitor, by the API's names."""

_NOUN = "monitor"
_PATH = "/api/v1/monitors"
_ONE = f"{_PATH}/{{monitor_id}}"
_PAGES = {"page": fields.positive_integer, "page_size": fields.positive_integer}

LIST = Operation(
    "GET",
    _PATH,
    Effect.READS,
    _NOUN,
    dict,
    query={
        **_PAGES,
        "order_by": shape.named("SortableFields"),
        "sort_order": fields.one_of("asc", "desc"),
        "tags": fields.text,
    },
)
GET = Operation("GET", _ONE, Effect.READS, _NOUN, dict)
CREATE = {
    kind: Operation(
        "POST",
        f"{_PATH}/create/{kind}",
        Effect.STARTS,
        _NOUN,
        dict,
        body_name="spec",
        is_findable=True,
    )
    for kind in KINDS
}
UPDATE = Operation(
    "PATCH", f"{_ONE}/update", Effect.SETS, _NOUN, object, body_name="spec", may_be_empty=True
)
TOGGLE = Operation("PUT", f"{_ONE}/toggle", Effect.SETS, _NOUN, object, may_be_empty=True)
DELETE = Operation("DELETE", _ONE, Effect.SETS, _NOUN, object, may_be_empty=True)
RUN = Operation("POST", f"{_ONE}/run", Effect.STARTS, _NOUN, dict, is_findable=True)
LIST_RUNS = Operation(
    "GET",
    f"{_ONE}/runs",
    Effect.READS,
    _NOUN,
    dict,
    query={**_PAGES, "start_time": fields.date_time, "end_time": fields.date_time},
)
GET_RUN = Operation(
    "GET",
    f"{_ONE}/runs/{{run_id}}",
    Effect.READS,
    "monitor run",
    dict,
    repeats=("run_id", "run_id"),
)


class MonitorMethods(Caller):
    """The hook's methods for monitors."""

    def list_monitors(
        self,
        *,
        page: int | str | None = None,
        page_size: int | str | None = None,
        order_by: str | None = None,
        sort_order: str | None = None,
        tags: str | None = None,
    ) -> dict[str, Any]:
        """List monitors (``GET /api/v1/monitors``).

        :param page: number of the page, from 1; by default the first.
        :param page_size: monitors a page; by default 20.
        :param order_by: ``"id"``, ``"name"``, ``"last_triggered"``, ``"last_run"`` or
            ``"created_by"``.
        :param sort_order: ``"desc"`` (the default) or ``"asc"``.
        :param tags: tags to filter by, in one string.
        :return: ``monitors`` (a list), ``count``, ``page``, ``page_size``, ``total_pages``.
        """
        return self.call(
            LIST,
            page=page,
            page_size=page_size,
            order_by=order_by,
            sort_order=sort_order,
            tags=tags,
        )

    def get_monitor(self, monitor_id: int | str) -> dict[str, Any]:
        """Read a monitor (``GET /api/v1/monitors/{id}``).

        :param monitor_id: its id.
        :return: the monitor, with the fields of its spec, its state and its last runs.
        """
        return self.call(GET, monitor_id=monitor_id)

    def create_monitor(self, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create a monitor (``POST /api/v1/monitors/create/{kind}``).

        :param kind: ``"diff"``, ``"metric"``, ``"schema"`` or ``"test"``.
        :param spec: values by the API's names: ``name``, ``schedule`` and the fields of its kind.
        :return: ``id``.
        """
        return self.call(CREATE[self._kind(kind)], spec)

    def update_monitor(self, kind: str, monitor_id: int | str, spec: Mapping[str, Any]) -> Any:
        """Change a monitor (``PATCH /api/v1/monitors/{id}/update``).

        :param kind: its kind; see :meth:`create_monitor`. It is sent as ``type``.
        :param monitor_id: its id.
        :param spec: the fields to change. An update accepts fewer fields than a creation.
        :return: the parsed response; the API documents no shape.
        """
        body = {**fields.mapping("spec", spec), "type": self._kind(kind)}
        return self.call(UPDATE, body, monitor_id=monitor_id)

    def toggle_monitor(self, monitor_id: int | str, *, enabled: bool | str) -> Any:
        """Switch a monitor's schedule on or off (``PUT /api/v1/monitors/{id}/toggle``).

        :param monitor_id: its id.
        :param enabled: whether the schedule is to be on.
        :return: the parsed response; the API documents no shape.
        """
        return self.call(TOGGLE, {"enabled": enabled}, monitor_id=monitor_id)

    def delete_monitor(self, monitor_id: int | str) -> Any:
        """Remove a monitor (``DELETE /api/v1/monitors/{id}``).

        :param monitor_id: its id.
        :return: the parsed response, ``None`` for an empty one; the API documents no shape.
        """
        return self.call(DELETE, monitor_id=monitor_id)

    def run_monitor(self, monitor_id: int | str) -> dict[str, Any]:
        """Run a monitor now (``POST /api/v1/monitors/{id}/run``). It returns before the run ends.

        :param monitor_id: its id.
        :return: ``run_id``.
        """
        return self.call(RUN, monitor_id=monitor_id)

    def list_monitor_runs(
        self,
        monitor_id: int | str,
        *,
        page: int | str | None = None,
        page_size: int | str | None = None,
        start_time: Any = None,
        end_time: Any = None,
    ) -> dict[str, Any]:
        """List the runs of a monitor (``GET /api/v1/monitors/{id}/runs``).

        :param monitor_id: its id.
        :param page: number of the page, from 1; by default the first.
        :param page_size: runs a page; by default 10.
        :param start_time: leave out earlier runs; a :class:`~datetime.datetime` with a time zone,
            or an ISO 8601 string with one.
        :param end_time: leave out later runs; the same.
        :return: ``runs`` (a list), ``count``, ``page``, ``page_size``, ``total_pages``.
        """
        return self.call(
            LIST_RUNS,
            monitor_id=monitor_id,
            page=page,
            page_size=page_size,
            start_time=start_time,
            end_time=end_time,
        )

    def get_monitor_run(self, monitor_id: int | str, run_id: int | str) -> dict[str, Any]:
        """Read a run of a monitor (``GET /api/v1/monitors/{id}/runs/{run_id}``).

        :param monitor_id: the monitor's id.
        :param run_id: the run's id.
        :return: ``run_id``, ``monitor_id``, ``state`` (``created``, ``queued``, ``checking`` while
            it runs, then ``ok``, ``alert``, ``error``, ``learning``, ``skipped`` or
            ``cancelled``), ``error``, ``diff_id``, ``started_at``, ``warnings``.
        """
        return self.call(GET_RUN, monitor_id=monitor_id, run_id=run_id)

    def _kind(self, kind: str) -> str:
        return str(self._guarded(lambda: fields.one_of(*KINDS)("kind", kind), kind))
