"""Pages for people; the provider's links lead here."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from dev.sandbox.state import State


def create_pages(state: State) -> APIRouter:
    """Return the pages.

    :param state: what they show.
    """
    router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/settings/integrations")
    def show_integrations() -> str:
        """Show the integrations."""
        with state.lock:
            shown = list(state.integrations.values())
        columns = ("id", "type", "name", "indexing_cron")
        rows = ([integration.get(name) for name in columns] for integration in shown)
        return _page("Integrations", columns, rows)

    @router.get("/datadiffs/{datadiff_id}/overview")
    def show_data_diff(datadiff_id: int) -> str:
        """Show a data diff."""
        with state.lock:
            diff = state.data_diffs.shown(datadiff_id)
        rows = [
            ("Status", diff["status"]),
            ("Result", diff["result"]),
            ("First side", _side(diff, 1)),
            ("Second side", _side(diff, 2)),
            *(diff["diff_stats"] or {}).items(),
        ]
        return _page(f"Data diff {datadiff_id}", ("", ""), rows)

    return router


def _side(diff: dict[str, Any], number: int) -> str:
    """Return what is compared on a side of a diff."""
    table = ".".join(diff.get(f"table{number}") or ())
    return table or diff.get(f"query{number}") or diff.get(f"file{number}") or ""


def _page(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    heads = "".join(f"<th>{name}" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}" for value in row) for row in rows
    )
    return f"<!doctype html><title>{title}</title><table><tr>{heads}{body}</table>"
