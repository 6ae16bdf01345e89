"""HTML pages, to which the provider's links lead."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from dev.sandbox import data_diffs
from dev.sandbox.state import State

_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def create_pages(state: State) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/settings/integrations")
    def show_integrations() -> str:
        with state.lock:
            shown = [dict(integration) for integration in state.integrations.values()]
        columns = ("id", "type", "name", "indexing_cron")
        return _page("integrations.html", integrations=shown, columns=columns)

    @router.get("/datadiffs/{datadiff_id}/overview")
    def show_data_diff(datadiff_id: int) -> str:
        with state.lock:
            return _page("data_diff.html", **_data_diff(state, datadiff_id))

    return router


def _data_diff(state: State, number: int) -> dict[str, Any]:
    diff = state.data_diffs.peek(number)
    job = state.data_diffs.jobs[number]
    stats = diff["diff_stats"]
    results = data_diffs.results(diff, job) if diff["status"] == "done" else {}
    compared = (results.get("values") or {}).get("columns_diff_stats", ())
    columns = [column for column in compared if column["values_different"]]
    return {
        "diff": diff,
        "error": job.outcome.get("error"),
        "sides": [_side(state, diff, place) for place in (1, 2)],
        "stats": stats and {**data_diffs.STATS, **stats},
        "results": {"pks": None, "schema": None, **results},
        "columns": sorted(columns, key=lambda column: -int(column["values_different"])),
        "rows": job.outcome.get("rows"),
    }


def _side(state: State, diff: dict[str, Any], place: int) -> dict[str, Any]:
    table = ".".join(diff[f"table{place}"] or ())
    number = diff[f"data_source{place}_id"]
    return {
        "source": f"{state.data_sources.sources[number]['name']} ({number})",
        "what": table or diff[f"query{place}"] or diff[f"file{place}"] or "",
        "filter": diff[f"filter{place}"],
        "rows": (diff["diff_stats"] or {}).get(f"table_{'ab'[place - 1]}_row_count"),
    }


def _page(template: str, **shown: Any) -> str:
    return _TEMPLATES.get_template(template).render(**shown)
