"""Data diffs: comparisons of two tables, queries or files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_datafold.api import fields, shape
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation

_NOUN = "data diff"
_PATH = "/api/v1/datadiffs"
_ONE = f"{_PATH}/{{datadiff_id}}"

LIST = Operation(
    "GET",
    _PATH,
    Effect.READS,
    _NOUN,
    dict,
    query={
        "page": fields.positive_integer,
        "page_size": fields.positive_integer,
        "sort_order": shape.named("ApiSortOrder"),
        "order_by": shape.named("ApiSortFilters"),
        "accessible_only": fields.boolean,
    },
)
# A 404 can only mean one of the data sources.
CREATE = Operation("POST", _PATH, Effect.STARTS, "data source", dict, is_findable=True)
GET = Operation("GET", _ONE, Effect.READS, _NOUN, dict, repeats=("id", "datadiff_id"))
UPDATE = Operation("PATCH", _ONE, Effect.SETS, _NOUN, object, may_be_empty=True)
CANCEL = Operation("POST", f"{_ONE}/cancel", Effect.SETS, _NOUN, dict)
GET_SUMMARY = Operation("GET", f"{_ONE}/summary", Effect.READS, _NOUN, dict)
GET_SUMMARY_RESULTS = Operation("GET", f"{_ONE}/summary_results", Effect.READS, _NOUN, dict)


class DataDiffMethods(Caller):
    """The hook's methods for data diffs."""

    def list_data_diffs(
        self,
        *,
        page: int | str | None = None,
        page_size: int | str | None = None,
        sort_order: str | None = None,
        order_by: str | None = None,
        accessible_only: bool | str | None = None,
    ) -> dict[str, Any]:
        """List data diffs (``GET /api/v1/datadiffs``).

        :param page: number of the page, from 1; by default the first.
        :param page_size: data diffs a page; by default 100.
        :param sort_order: ``"asc"`` (the default: oldest first) or ``"desc"``.
        :param order_by: the field to sort by, e.g. ``"created_at"``; by default ``"id"``.
        :param accessible_only: whether to leave out those of data sources that the key's user may
            not see; by default ``False``.
        :return: ``results`` (a list of data diffs), ``count``, ``page``, ``page_size``,
            ``total_pages``.
        """
        return self.call(
            LIST,
            page=page,
            page_size=page_size,
            sort_order=sort_order,
            order_by=order_by,
            accessible_only=accessible_only,
        )

    def create_data_diff(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Start a data diff (``POST /api/v1/datadiffs``). It returns before the data is compared.

        :param config: values by the API's names: ``data_source1_id`` and ``data_source2_id``,
            ``table1`` (a list of path parts), ``query1`` or ``file1``, the same for the second
            side, ``pk_columns`` and some forty optional fields.
        :return: the data diff: ``id``, ``status``, ``result``, the fields of ``config`` and more.
        """
        return self.call(CREATE, config)

    def get_data_diff(self, datadiff_id: int | str) -> dict[str, Any]:
        """Read a data diff (``GET /api/v1/datadiffs/{datadiff_id}``).

        :param datadiff_id: its id.
        :return: ``id``, ``status`` (``waiting``, ``queued``, ``processing``, ``done``, ``failed``,
            ``cancelled``, ``needs_confirmation``, ``needs_authentication``), ``result`` (free
            text, e.g. ``identical``, ``different``), ``diff_stats``, ``diff_progress`` and more.
        """
        return self.call(GET, datadiff_id=datadiff_id)

    def update_data_diff(
        self,
        datadiff_id: int | str,
        *,
        archived: bool | str | None = None,
        purged: bool | str | None = None,
    ) -> Any:
        """Archive or purge a data diff (``PATCH /api/v1/datadiffs/{datadiff_id}``).

        :param datadiff_id: its id.
        :param archived: whether to archive it; ``None`` changes nothing.
        :param purged: whether to remove its data; ``None`` changes nothing.
        :return: the parsed response; the API documents no shape.
        """
        given = {"archived": archived, "purged": purged}
        changes = {name: value for name, value in given.items() if value is not None}
        return self.call(UPDATE, changes, datadiff_id=datadiff_id)

    def cancel_data_diff(self, datadiff_id: int | str) -> dict[str, Any]:
        """Cancel a data diff (``POST /api/v1/datadiffs/{datadiff_id}/cancel``).

        :param datadiff_id: its id.
        :return: ``id`` and ``status``.
        """
        return self.call(CANCEL, datadiff_id=datadiff_id)

    def get_data_diff_summary(self, datadiff_id: int | str) -> dict[str, Any]:
        """Read a short summary (``GET /api/v1/datadiffs/{datadiff_id}/summary``).

        :param datadiff_id: the data diff's id.
        :return: the fields of the API's ``ApiDataDiffSummary``.
        """
        return self.call(GET_SUMMARY, datadiff_id=datadiff_id)

    def get_data_diff_summary_results(self, datadiff_id: int | str) -> dict[str, Any]:
        """Read the results (``GET /api/v1/datadiffs/{datadiff_id}/summary_results``).

        :param datadiff_id: the data diff's id.
        :return: ``status``, with values of its own (``running``, ``pending``, ``done``,
            ``success``, ``failed``), and depending on it statistics of schemas, keys, values and
            columns, or ``error_type`` and ``error_value``.
        """
        return self.call(GET_SUMMARY_RESULTS, datadiff_id=datadiff_id)
