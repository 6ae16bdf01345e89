"""CI: data diffs for the pull requests of a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation

_ONE = "/api/v1/ci/{ci_config_id}"
_NOUN = "CI configuration"

LIST_RUNS = Operation(
    "GET",
    f"{_ONE}/runs",
    Effect.READS,
    _NOUN,
    list,
    query={
        "pr_sha": fields.text,
        "pr_num": fields.text,
        "limit": fields.positive_integer,
        "offset": fields.between(0, 2**31),
    },
    is_classic=True,
)
TRIGGER = Operation(
    "POST", f"{_ONE}/trigger", Effect.STARTS, _NOUN, dict, is_classic=True, is_findable=True
)
UPLOAD = Operation(
    "POST",
    f"{_ONE}/{{pr_num}}",
    Effect.STARTS,
    "CI configuration or pull request",
    dict,
    body_name="changes",
    is_classic=True,
)


class CIMethods(Caller):
    """The hook's methods for CI, which only Datafold Classic has."""

    def list_ci_runs(
        self,
        ci_config_id: int | str,
        *,
        pr_sha: str | None = None,
        pr_num: int | str | None = None,
        limit: int | str | None = None,
        offset: int | str | None = None,
    ) -> list[dict[str, Any]]:
        """List CI runs (``GET /api/v1/ci/{ci_config_id}/runs``).

        :param ci_config_id: id of the CI configuration.
        :param pr_sha: only runs of this commit.
        :param pr_num: only runs of this pull request.
        :param limit: the most runs to return; by default 100.
        :param offset: how many runs to skip; by default 0.
        :return: a list of ``id``, ``status`` (free text), ``source``, ``pr_num``, ``pr_sha``,
            ``pr_branch``, ``base_sha``, ``base_branch``.
        """
        return self.call(
            LIST_RUNS,
            ci_config_id=ci_config_id,
            pr_sha=pr_sha,
            pr_num=pr_num,
            limit=limit,
            offset=offset,
        )

    def trigger_ci(
        self,
        ci_config_id: int | str,
        *,
        pr_number: int | str,
        pr_sha: str,
        base_sha: str,
        pr_branch: str,
        base_branch: str,
    ) -> dict[str, Any]:
        """Start CI for a pull request (``POST /api/v1/ci/{ci_config_id}/trigger``).

        :param ci_config_id: id of the CI configuration.
        :param pr_number: number of the pull request.
        :param pr_sha: its newest commit.
        :param base_sha: the commit that it is compared with.
        :param pr_branch: its branch.
        :param base_branch: the branch that it is merged into.
        :return: ``ci_run_id`` and ``run_id``, each of which may be null or missing.
        """
        body = {
            "pr_number": pr_number,
            "pr_sha": pr_sha,
            "base_sha": base_sha,
            "pr_branch": pr_branch,
            "base_branch": base_branch,
        }
        return self.call(TRIGGER, body, ci_config_id=ci_config_id)

    def upload_ci_changes(
        self, ci_config_id: int | str, pr_num: int | str, changes: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Upload a pull request's tables (``POST /api/v1/ci/{ci_config_id}/{pr_num}``).

        :param ci_config_id: id of the CI configuration.
        :param pr_num: number of the pull request.
        :param changes: a list of ``{"prod": str, "pr": str}``, optionally with ``pk``,
            ``include_columns`` and ``exclude_columns``, each a list of strings.
        :return: ``run_id``, null if there is no active job, and ``ci_run_id``.
        """
        return self.call(UPLOAD, changes, ci_config_id=ci_config_id, pr_num=pr_num)
