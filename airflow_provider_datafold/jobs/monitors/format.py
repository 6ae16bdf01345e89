"""Monitors as code: from Datafold's own format to what its public API takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields, monitors
from airflow_provider_datafold.api.fields import cron
from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.monitors import ownership
from airflow_provider_datafold.redaction.secret import Secret, conceal, encode

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.monitors.problems import Problems

ALIASES = {
    "min": "minimum",
    "max": "maximum",
    "stddev": "std_dev",
    "distinct": "cardinality",
    "total": "row_count",
    "freshness_seconds": "freshness",
    "freshness_minutes": "freshness",
}
"""The names that the public API has for metrics with two names."""

_CUSTOM = "a metric of type 'custom' with a query"
_INSTEAD_OF_METRIC = {
    "table": {
        "total": "'row_count'",
        "freshness_seconds": "'freshness', which is in minutes: divide each threshold by 60",
        "freshness_minutes": "'freshness', which is in minutes, too",
        "distinct": _CUSTOM,
        "column_count": "a monitor of type 'schema', or " + _CUSTOM,
    },
    "column": {
        **{name: repr(ALIASES[name]) for name in ("min", "max", "stddev", "distinct")},
        "total": "a metric of type 'table' with 'row_count'",
        "nulls": f"'fill_rate', or {_CUSTOM}",
        "qmin": _CUSTOM,
        "qmax": _CUSTOM,
        "col_freshness_minutes": _CUSTOM,
    },
}
"""What to write instead of a metric that only Datafold's internal API has."""


_INSTEAD_OF_NULL = {
    "notifications": "[] for none",
    "tags": "[] for none",
    "schedule": "{type: none} for no schedule",
}
"""What to write instead of null, for fields that cannot be null."""


@dataclass(frozen=True)
class Wanted:
    """A monitor as the files want it.

    :param source: what errors call its document.
    :param slug: its slug.
    :param kind: its kind.
    :param request: asks the public API to create it, without the tags of its owner.
    :param monitor_id: the id of a monitor to take over.
    """

    source: str
    slug: str
    kind: str
    request: Request
    monitor_id: int | None

    @property
    def body(self) -> Mapping[str, Any]:
        """What the creation sends."""
        body: Mapping[str, Any] = self.request.body
        return body


def translate(
    hook: JobHook, documents: Iterable[tuple[str, Any]], problems: Problems
) -> list[Wanted]:
    """Translate documents, each with a mapping ``monitors`` of slugs, without what is wrong."""
    wanted: dict[str, Wanted] = {}
    for source, document in documents:
        specs: Mapping[Any, Any] = {}
        with problems.collected(source):
            specs = _specs(hook, document)
        for slug, spec in specs.items():
            with problems.collected(source, str(slug)):
                if slug in wanted:
                    raise DatafoldInputError(f"{wanted[slug].source} has this slug, too.")
                wanted[slug] = hook.checked(partial(_translated, source, slug), spec)
    return list(wanted.values())


def _specs(hook: JobHook, document: Any) -> Mapping[Any, Any]:
    def check(document: Any) -> Mapping[Any, Any]:
        if not isinstance(document, Mapping) or "monitors" not in document:
            raise DatafoldInputError(
                "has no 'monitors:', under which each monitor stands under its slug."
            )
        for key in document:
            # YAML's usual place for what several monitors share by an anchor.
            if key != "monitors" and not str(key).startswith("x-"):
                shown = fields.format_value(key)
                raise DatafoldInputError(f"has an unknown field {shown}; it only has 'monitors'.")
        specs = fields.mapping("monitors", document["monitors"])
        # A slug may look like the name of a secret.
        return {
            slug: conceal(spec.reveal()) if isinstance(spec, Secret) else spec
            for slug, spec in specs.items()
        }

    return hook.checked(check, document)


def _translated(source: str, slug: Any, spec: Any) -> Wanted:
    if not isinstance(slug, str) or not slug.strip():
        raise DatafoldInputError("the slug must be a string that is not empty; quote a number.")
    fields.text("slug", slug)
    given = dict(fields.mapping("monitor", spec))
    if "type" not in given:
        raise DatafoldInputError(f"type: is missing. It is one of {', '.join(monitors.KINDS)}.")
    kind = str(fields.one_of(*monitors.KINDS)("type", given.pop("type")))
    monitor_id = given.pop("id", None)
    if monitor_id is not None:
        monitor_id = fields.positive_integer("id", monitor_id)
    if given.get("name") is None:
        given["name"] = slug
    for name, instead in _INSTEAD_OF_NULL.items():
        if name in given and given[name] is None:
            raise DatafoldInputError(f"{name}: must not be null. Write {instead}.")
    _TRANSLATIONS[kind](given)
    _check_integrations(given.get("notifications"))
    # Errors call it a monitor, as the files do.
    request = replace(monitors.CREATE[kind], body_name="monitor").request(given)
    _check_schedule(request.body["schedule"])
    for name, value in request.body.items():
        _check_json(name, value)
    for place, tag in enumerate(request.body.get("tags", ())):
        if ownership.is_ours(tag):
            raise DatafoldInputError(
                f"tags[{place}]: {fields.format_value(tag)} is a tag that this operator adds. "
                f"Leave it out."
            )
    return Wanted(source, slug, kind, request, monitor_id)


def _check_integrations(notifications: Any) -> None:
    """Refuse a webhook's address in place of its id: the address holds a token."""
    for place, each in enumerate(notifications if isinstance(notifications, list) else ()):
        given = each.get("integration") if isinstance(each, Mapping) else None
        if given is not None and not str(given).strip().isdecimal():
            raise DatafoldInputError(
                f"notifications[{place}].integration: must be the id of an integration, e.g. 7, "
                f"not its address."
            )


def _check_json(place: str, value: Any) -> None:
    """Refuse what JSON does not have, such as a date that YAML has made."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_json(place, key)
            _check_json(f"{place}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_json(f"{place}[{index}]", item)
    else:
        with suppress(DatafoldInputError):
            encode(value)
            return
        raise DatafoldInputError(
            f"{place}: must be a string, a finite number, true, false or null, not a value of "
            f"type {type(value).__name__}. In YAML, quote a date."
        )


def _check_schedule(schedule: Mapping[str, Any]) -> None:
    """Check what the contract only describes."""
    interval = schedule.get("interval", {})
    hour, at = interval.get("hour"), interval.get("utc_at")
    if hour is not None:
        fields.between(0, 23)("schedule.interval.hour", hour)
        if at and not at.startswith(f"{hour:02}"):
            raise DatafoldInputError(
                f"schedule.interval: utc_at {at!r} and hour {hour} are not the same. Leave one out."
            )
    if "cron" in schedule:
        cron("schedule.cron", schedule["cron"])


def _diff(spec: dict[str, Any]) -> None:
    datadiff = spec.get("datadiff")
    if isinstance(datadiff, Mapping):
        spec["datadiff"] = {"diff_type": "indb", **datadiff}


def _metric(spec: dict[str, Any]) -> None:
    metric = spec.get("metric")
    if not isinstance(metric, Mapping):
        return
    spec["metric"] = metric = dict(metric)
    kind, name = metric.get("type"), metric.get("metric")
    if kind == "table":
        _one_table(metric, "metric.")
    instead = _INSTEAD_OF_METRIC.get(str(kind), {}).get(str(name))
    if instead:
        raise DatafoldInputError(
            f"metric.metric: Datafold's public API has no metric {name!r}. Write {instead}."
        )


def _schema(spec: dict[str, Any]) -> None:
    _one_table(spec, "")


def _test(spec: dict[str, Any]) -> None:
    if spec.get("query") is None and spec.get("test") is None:
        raise DatafoldInputError("query, test: one of them must be given.")


def _one_table(spec: dict[str, Any], place: str) -> None:
    """Refuse patterns of tables, which become one monitor for each table."""
    for name in ("include_tables", "exclude_tables"):
        # Exported monitors have both, as null.
        if spec.pop(name, None) is not None:
            raise DatafoldInputError(
                f"{place}{name}: Datafold's public API makes no monitors from patterns. Write a "
                f"monitor with '{place}table' for each table."
            )
    if spec.get("table") is None:
        raise DatafoldInputError(f"{place}table: is missing.")


_TRANSLATIONS = {"diff": _diff, "metric": _metric, "schema": _schema, "test": _test}
