"""What dbt wrote in a run, for Datafold's CI. In no published contract, but in Datafold's SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation

SEEN_IN = "datafold-sdk 0.4.1"

RUN_TYPES = ("production", "pull_request")

FACTS = {"commit_sha": fields.sha, "run_type": fields.one_of(*RUN_TYPES)}
"""Checks for what both operations are told about a run, by the API's names."""


def _artifacts(body: Mapping[str, Any]) -> dict[str, Any]:
    facts = fields.each_checked(FACTS, body)
    if body["run_id"] is not None:
        facts["run_id"] = fields.name("run_id", body["run_id"])
    return {**facts, "artifacts": body["artifacts"]}


def _stored(body: Mapping[str, Any]) -> dict[str, Any]:
    return fields.each_checked({**FACTS, "branch": fields.name}, body)


SUBMIT = Operation(
    "POST",
    "/api/v1/dbt/submit_artifacts/{ci_config_id}",
    Effect.STARTS,
    "CI configuration",
    object,
    body=_artifacts,
    is_form=True,
    may_be_empty=True,
    is_classic=True,
    is_findable=True,
    seen_in=SEEN_IN,
)
CHECK = Operation(
    "POST",
    "/api/v1/dbt/post_upload_check_artifacts/{ci_config_id}",
    Effect.READS,
    "CI configuration",
    dict,
    body=_stored,
    is_form=True,
    is_classic=True,
    seen_in=SEEN_IN,
)


class DbtMethods(Caller):
    """The hook's methods for dbt's artifacts, which only Datafold Classic takes."""

    def submit_dbt_artifacts(
        self,
        ci_config_id: int | str,
        artifacts: IO[bytes],
        *,
        commit_sha: str,
        run_type: str,
        run_id: str | None = None,
    ) -> Any:
        """Upload what dbt wrote (``POST /api/v1/dbt/submit_artifacts/{ci_config_id}``).

        :param ci_config_id: id of the CI configuration.
        :param artifacts: a zip archive of dbt's target folder, open for reading.
        :param commit_sha: the commit that dbt ran with.
        :param run_type: ``"production"`` or ``"pull_request"``.
        :param run_id: links the run of a pull request to that of its base, if CI is set up so.
        :return: any JSON.
        """
        body = {
            "commit_sha": commit_sha,
            "run_type": run_type,
            "run_id": run_id,
            "artifacts": artifacts,
        }
        return self.call(SUBMIT, body, ci_config_id=ci_config_id)

    def check_dbt_artifacts(
        self, ci_config_id: int | str, *, commit_sha: str, run_type: str, branch: str
    ) -> dict[str, Any]:
        """Ask for an upload (``POST /api/v1/dbt/post_upload_check_artifacts/{ci_config_id}``).

        :param ci_config_id: id of the CI configuration.
        :param commit_sha: the commit that dbt ran with.
        :param run_type: ``"production"`` or ``"pull_request"``.
        :param branch: the commit's branch.
        :return: ``status``, which is ``"ok"`` if artifacts of the commit are stored.
        """
        body = {"commit_sha": commit_sha, "run_type": run_type, "branch": branch}
        return self.call(CHECK, body, ci_config_id=ci_config_id)
