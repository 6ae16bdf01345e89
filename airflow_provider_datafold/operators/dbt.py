"""Operators for dbt projects: their models as data diffs, their artifacts for Datafold's CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs import gate
from airflow_provider_datafold.jobs.gate.arguments import PASSING
from airflow_provider_datafold.operators.base import DatafoldOperator, check_map_length, store
from airflow_provider_datafold.operators.ci import DatafoldCIOperator
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.job import DEFAULT_DEFERRABLE, DEFAULT_TIMEOUT
from airflow_provider_datafold.operators.names import TakesNames

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.dbt.manifest import Manifest
    from airflow_provider_datafold.jobs.dbt.models import Choice, Comparison, Limits, Rename
    from airflow_provider_datafold.jobs.dbt.production import Production
    from airflow_provider_datafold.jobs.hook import JobHook


class DatafoldDbtModelsOperator(TakesNames, DatafoldOperator):
    """Read a dbt project's manifest, and return the arguments of a gate for each model.

    .. code-block:: python

        models = DatafoldDbtModelsOperator(
            task_id="models",
            manifest="/dbt/target/manifest.json",
            production_manifest="s3://aws_default@artifacts/production/manifest.json",
            data_source_id=1,
        )
        DatafoldRunDataDiffOperator.partial(task_id="gate").expand_kwargs(models.output)

    It needs no dbt: it reads the JSON files that dbt writes, and asks Datafold only for the type of
    the data source. The published table is the first side, the table that was built the second.

    :param manifest: path or URL of the ``manifest.json`` of what was built. A plain path is a file
        of the worker; a URL is opened with Airflow's ``ObjectStoragePath``.
    :param production_manifest: path or URL of the ``manifest.json`` of what is published: a model
        is compared with the table that its own would replace there, or else with that of the model
        with the same ``unique_id``. Pass exactly one of this and ``production``.
    :param production: rules for the published tables instead: a dictionary with at least one of
        ``database``, ``schema`` and ``custom_schema``. ``<custom_schema>`` in the last one is
        replaced by the schema that the project sets for the model.
    :param run_results: path or URL of the ``run_results.json`` of ``dbt build`` or ``dbt run``. If
        you pass it, only models with status ``success`` or ``partial success`` are compared.
    :param select: which models: a list of names, ``"tag:..."``, ``"package:..."`` and
        ``"path:..."``; or what ``dbt ls`` prints: its lines, or the path or URL of a file with
        them. By default all.
    :param exclude: which models not: a list of the same.
    :param data_source_id: id or name of the data source of both sides.
    :param primary_key_tag: the tag by which the project marks primary keys, in the meta of a model
        or a column, or in the tags of a column.
    :param missing_pk: what to do about models without a primary key: ``"fail"``, ``"skip"`` them,
        or let Datafold ``"infer"`` the keys.
    :param upper_case: whether the warehouse has the project's names in upper case; by default only
        if the data source is a Snowflake.
    :param returns: ``"data_diffs"``, or ``"ci_changes"`` for ``DatafoldUploadCIChangesOperator``,
        which knows neither filters nor limits.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: a list of dictionaries, one for each model that is compared: arguments of
        :class:`~airflow_provider_datafold.operators.data_diffs.DatafoldRunDataDiffOperator`, or
        changes for CI; it lands in XCom. So does what is left out, as ``left_out``, a list of
        ``{"name", "reason"}``.
    :raises DatafoldInputError: a parameter, a file or something in the project is wrong, or there
        are more models than Airflow maps.
    :raises DatafoldTransientError: the bucket with a file did not answer.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldOperator.template_fields,
        "manifest",
        "production_manifest",
        "production",
        "run_results",
        "select",
        "exclude",
        "data_source_id",
        "primary_key_tag",
        "missing_pk",
        "upper_case",
        "returns",
    )
    template_fields_renderers = {"production": "json"}  # noqa: RUF012 - typed so by Airflow

    production_manifest: str | None
    production: Mapping[str, str] | str | None
    run_results: str | None
    _given: Mapping[str, Any]

    def __init__(
        self,
        *,
        manifest: str,
        production_manifest: str | None = None,
        production: Mapping[str, str] | str | None = None,
        run_results: str | None = None,
        select: Sequence[str] | str | None = None,
        exclude: Sequence[str] | str | None = None,
        data_source_id: int | str,
        primary_key_tag: str = "primary-key",
        missing_pk: str = "fail",
        upper_case: bool | str | None = None,
        returns: str = "data_diffs",
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Tell in XCom what is left out as well, even if the task fails."""
        self._left_out: list[dict[str, str]] = []
        try:
            # Not by the base class: Airflow 2 warns of an execute within another.
            with self.open_hook() as hook:
                return self.call(hook)
        finally:
            if "ti" in context:
                context["ti"].xcom_push(key="left_out", value=self._left_out)

    def call(self, hook: JobHook) -> list[dict[str, Any]]:
        """Read the files, and return what is compared."""
        self._check(hook)
        production, choice = self._choose()
        self._left_out = choice.entries
        self._report(choice)
        choice.check(production, self._given["primary_key_tag"], self._given["missing_pk"])
        if not choice.compared:
            return []
        if self._given["returns"] == "data_diffs":
            check_map_length("select", "models", len(choice.compared))
        source = self.look_up(hook, jobs.identity.DATA_SOURCE, "data_source_id")["data_source_id"]
        rename = self._rename(hook, source)
        rules = self._given["production"]
        argument = "production_manifest" if rules is None else "production"
        jobs.dbt.models.check_sides(argument, choice.compared)
        if self._given["returns"] == "ci_changes":
            self._warn_of_loss(choice.compared)
            return [jobs.dbt.models.ci_change(each, rename) for each in choice.compared]
        return [jobs.dbt.models.gate_arguments(each, source, rename) for each in choice.compared]

    def _check(self, hook: JobHook) -> None:
        self._given = self.checked(
            hook,
            manifest=fields.name,
            production_manifest=fields.optional(fields.name),
            production=fields.optional(jobs.dbt.production.read_rules),
            run_results=fields.optional(fields.name),
            select=fields.optional(jobs.dbt.models.read_selectors),
            exclude=fields.optional(fields.texts),
            data_source_id=jobs.identity.id_or_name,
            primary_key_tag=fields.name,
            missing_pk=fields.one_of("fail", "skip", "infer"),
            upper_case=fields.optional(fields.boolean),
            returns=fields.one_of("data_diffs", "ci_changes"),
        )
        given = [
            name for name in ("production_manifest", "production") if self._given[name] is not None
        ]
        if len(given) != 1:
            raise DatafoldInputError(
                f"production: pass exactly one of production_manifest and production; found: "
                f"{' and '.join(given) or 'none'}. Nothing was sent."
            )

    def _choose(self) -> tuple[Production, Choice]:
        given = self._given
        content = jobs.dbt.files.read_artifact("manifest", given["manifest"], "manifest")
        manifest = jobs.dbt.manifest.read_manifest("manifest", content)
        production = self._production(content, manifest)
        models = jobs.dbt.models.select(
            [*manifest.values(), *production.removed.values()],
            self._selectors(content),
            given["exclude"],
        )
        statuses = None
        if given["run_results"] is not None:
            statuses = self._statuses(content, manifest)
        return production, jobs.dbt.models.choose(
            models,
            production,
            statuses,
            _limits(),
            tag=given["primary_key_tag"],
            missing_key=given["missing_pk"],
        )

    def _selectors(self, content: Mapping[str, Any]) -> list[str] | None:
        selected: list[str] | str | None = self._given["select"]
        if not isinstance(selected, str):
            return selected
        # Lines, or where they are.
        if jobs.dbt.models.is_place(selected.strip()):
            selected = jobs.dbt.files.read_text("select", selected.strip())
        return jobs.dbt.models.of_list(selected, jobs.dbt.manifest.other_names(content))

    def _statuses(self, content: Mapping[str, Any], manifest: Manifest) -> Mapping[str, str]:
        """Read what became of the models, if that is of the run of the manifest."""
        of_run = jobs.dbt.files.read_artifact(
            "run_results", self._given["run_results"], "run-results"
        )
        results = jobs.dbt.models.read_results("run_results", of_run)
        jobs.dbt.models.check_tables("run_results", results, manifest)
        if not jobs.dbt.models.are_of_one_run(content, of_run):
            self.log.warning(
                "run_results and manifest are of different runs of dbt (their invocation_id "
                "differs). Check that both are of the build: run_results of another run says "
                "nothing about what was built."
            )
        return results.statuses

    def _production(self, built: Mapping[str, Any], manifest: Manifest) -> Production:
        rules: Production | None = self._given["production"]
        if rules is not None:
            return rules
        name = "production_manifest"
        content = jobs.dbt.files.read_artifact(name, self._given[name], "manifest")
        published = jobs.dbt.manifest.read_manifest(name, content)
        jobs.dbt.production.check_project(name, built, content, manifest)
        return jobs.dbt.production.ProductionManifest(manifest, published)

    def _report(self, choice: Choice) -> None:
        self.log.info("%s", choice.summary)
        for warning in choice.warnings:
            self.log.warning("%s", warning)
        for comparison in choice.compared:
            key = comparison.key
            found = "inferred by Datafold" if key is None else f"{list(key.columns)} ({key.origin})"
            self.log.debug("Key of %s: %s.", comparison.model.label, found)
            if ignored := comparison.settings.ignored:
                self.log.warning(
                    "Model %s: unknown settings are ignored: %s.",
                    comparison.model.label,
                    ", ".join(ignored),
                )
        if not choice.compared:
            self.log.warning("No model is left to compare, so Airflow skips what is mapped to it.")

    def _warn_of_loss(self, compared: Sequence[Comparison]) -> None:
        lost = [each.model.label for each in compared if not each.settings.are_only_columns]
        if lost:
            self.log.warning(
                "Datafold's CI takes no filters, limits and times, so it ignores those of: %s.",
                fields.format_names(lost),
            )

    def _rename(self, hook: JobHook, source: int) -> Rename:
        upper_case = self._given["upper_case"]
        if upper_case is None:
            upper_case = hook.get_data_source(source).get("type") == "snowflake"
        return jobs.dbt.models.upper if upper_case else str


class DatafoldUploadDbtArtifactsOperator(DatafoldCIOperator):
    """Upload to Datafold's CI what dbt wrote in a run; for a pull request, wait for its CI run.

    ``POST /api/v1/dbt/submit_artifacts/{ci_config_id}``, which no published contract of Datafold
    has, but its SDK calls; Datafold Classic has it.

    .. code-block:: python

        DatafoldUploadDbtArtifactsOperator(
            task_id="artifacts",
            ci_config_id=3,
            run_type="production",
            target="/dbt/target",
            commit_sha="{{ params.commit_sha }}",
        )

    :param ci_config_id: id of the CI configuration in Datafold, e.g. ``7`` or ``"7"``.
    :param run_type: ``"production"`` or ``"pull_request"``.
    :param target: path or URL of the folder into which dbt wrote, with its ``manifest.json``. A
        plain path is a folder of the worker; a URL is opened with Airflow's ``ObjectStoragePath``.
    :param commit_sha: sha of the commit that dbt ran with, 7 to 64 hexadecimal digits.
    :param run_id: links the run of a pull request to that of its base, if CI is set up so.
    :param include: patterns of the files to upload, by their paths in ``target``, e.g.
        ``["manifest.json", "compiled/*"]``; by default all. A whole project needs it, and no
        ``profiles.yml``, hidden file or private key may be in it.
    :param wait_for_completion: whether to wait for the end of the pull request's CI run. A
        production run has none.
    :param deferrable: whether to wait in the triggerer, which takes no worker slot; by default as
        Airflow's ``[operators] default_deferrable`` says.
    :param poll_interval: time between two polls, in seconds or as a
        :class:`~datetime.timedelta`; by default 2 s at first, then a seventh of the time waited,
        at least 1 s and at most 30.
    :param timeout: how long the run may take, in seconds or as a :class:`~datetime.timedelta`; 24
        hours by default. The task's ``execution_timeout`` counts, too.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :return: ``{"ci_config_id", "run_id", "status"}`` of the CI run; it lands in XCom. ``run_id``
        and ``status`` are null if the task does not wait.
    :raises DatafoldInputError: a parameter is wrong, or ``target`` is not dbt's; nothing was sent.
    :raises DatafoldNotFoundError: there is no such CI configuration, or a minute after the upload
        no CI run.
    :raises DatafoldTransientError: the bucket with ``target`` did not answer, or a file changed
        while it was read.
    :raises DatafoldJobFailedError: the run failed; Airflow's retry uploads again.
    :raises DatafoldJobCancelledError: someone cancelled the run.
    :raises DatafoldDeadlineError: it took longer than ``timeout`` or ``execution_timeout``.
    :raises DatafoldError: see :class:`~airflow_provider_datafold.operators.base.DatafoldOperator`.
    """

    template_fields: Sequence[str] = (
        *DatafoldCIOperator.template_fields,
        "run_type",
        "target",
        "commit_sha",
        "run_id",
        "include",
    )

    def __init__(
        self,
        *,
        ci_config_id: int | str,
        run_type: str,
        target: str,
        commit_sha: str,
        run_id: str | None = None,
        include: Sequence[str] | str | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = DEFAULT_DEFERRABLE,
        poll_interval: float | timedelta | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        datafold_conn_id: str = "datafold_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        store(self, locals())

    def check(self, hook: JobHook) -> None:
        """Check all arguments, before anything is sent."""
        super().check(hook)
        self._facts = self.checked(
            hook, **jobs.dbt.upload.FACTS, run_id=fields.optional(fields.name)
        )
        rest = self.checked(
            hook,
            ci_config_id=fields.positive_integer,
            target=fields.name,
            include=fields.optional(fields.texts),
        )
        self._asked = {**self._facts, **rest}
        if self._facts["run_type"] != jobs.dbt.upload.PULL_REQUEST:
            # Datafold starts no CI run for it.
            self.wait_for_completion = False

    def begin(self, hook: JobHook) -> dict[str, Any]:
        """Upload the artifacts, and find the run that Datafold starts for them."""
        asked, waits = self._asked, self.wait_for_completion
        number, sha = asked["ci_config_id"], asked["commit_sha"]
        with jobs.dbt.files.packed("target", asked["target"], asked["include"]) as archive:
            ended = jobs.dbt.upload.ended_runs(hook, number, sha) if waits else ()
            jobs.dbt.upload.upload_once(hook, number, archive, self._facts)
        self.log.info("Uploaded dbt's artifacts of commit %s (%s).", sha, asked["run_type"])
        run = jobs.dbt.upload.wait_for_run(hook, number, sha, ended) if waits else {}
        return {"ci_config_id": number, "pr_num": run.get("pr_num"), "run_id": run.get("id")}


def _limits() -> Limits:
    """Return what a model may set of its gate."""
    parameters = signature(DatafoldRunDataDiffOperator).parameters
    defaults = {name: parameters[name].default for name in PASSING}
    return jobs.dbt.models.Limits(
        PASSING, lambda given: gate.decision.Gate({**defaults, **given}, gate.approval.Approval())
    )
