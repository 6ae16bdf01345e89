"""Each call of datafold-sdk against the sandbox: its functions, its CLI and its MCP server.

``nox -s datafold-sdk`` runs it in an environment that has the SDK. pytest's list is the table of
what works; what does not is expected to fail, for the reason that is given.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import requests
from click.testing import CliRunner
from datafold_mcp.server import create_server
from datafold_sdk.cli import cloud, manager
from datafold_sdk.sdk import ci, dbt
from fastmcp import Client

from dev.comparison.sample import create_sample
from dev.sandbox import Sandbox

PULL_REQUEST = {"pr_sha": "a1", "base_sha": "b2", "pr_branch": "feature", "base_branch": "main"}
CHANGES = [{"prod": "orders", "pr": "orders_staging", "pk": ["id"]}]
DBT = Path("dev/dbt_project").absolute()
TABLES = {"table1": ["orders"], "table2": ["orders_staging"]}
SOURCES = {"data_source1_id": 1, "data_source2_id": 1}
INTERNAL = "not in the contract, and nothing of ours calls it: the sandbox responds with 404"


class Judge:
    """A sandbox whose first data source has a database, and ways to call it.

    :param sandbox: the sandbox.
    :param folder: an empty folder.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder, self.state = sandbox, folder, sandbox.state
        self.login = {"host": sandbox.url, "api_key": sandbox.api_key}
        self.first_diffs = set(self.state.data_diffs.diffs)
        headers = {"Authorization": f"Key {sandbox.api_key}"}
        self.api = cloud.DatafoldAPI(**self.login, headers=headers, timeout=30)

    def cli(self, *arguments: str) -> str:
        """Run the command, and return what it prints."""
        run = CliRunner().invoke(manager, arguments, catch_exceptions=False)
        assert run.exit_code == 0, run.output
        return run.output

    def mcp(self, tool: str, **arguments: Any) -> Any:
        """Call a tool of the MCP server."""
        server = create_server()

        async def call() -> Any:
            async with Client(server) as client:
                return (await client.call_tool(tool, arguments)).structured_content

        return asyncio.run(call())

    def target(self) -> str:
        """Return a folder with dbt's artifacts."""
        target = self.folder / "target"
        shutil.copytree(DBT / "artifacts/1.11/staging", target)
        return str(target)

    def trigger(self) -> int:
        """Start a CI run."""
        run: int = ci.trigger_ci_run(**self.login, ci_config_id=4, pr_num=8, **PULL_REQUEST)
        return run

    def diff(self) -> int:
        """Start a data diff."""
        columns: Any = {"include_columns": None, "exclude_columns": None}
        body = cloud.TCloudApiDataDiff(**SOURCES, **TABLES, pk_columns=["id"], **columns)
        number: int = self.api.create_data_diff(body)
        return number

    def new_diffs(self) -> list[dict[str, Any]]:
        """Return the data diffs that were not there at the start."""
        diffs = self.state.data_diffs
        return [diffs.peek(number) for number in diffs.diffs if number not in self.first_diffs]

    def ended_diff(self) -> int:
        """Start a data diff, and wait for it."""
        number = self.diff()
        self.api.poll_data_diff_results(number)
        return number


Call = Callable[[Judge], None]
CALLS: dict[str, Call] = {}
REFUSED = {
    "sdk.dbt.check_pks_in_manifest": INTERNAL,
    "cli dbt check-primary-keys": INTERNAL,
    "cli monitors provision": INTERNAL,
    "cli queries run": "the API of alerts is older than the contract, which has monitors: 404",
}


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    # The command looks for a newer version of itself on PyPI: nothing but loopback is reached.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Sandbox() as sandbox:
        sandbox.state.data_sources.connect(1, create_sample(tmp_path / "warehouse.duckdb"))
        monkeypatch.setenv("DATAFOLD_HOST", sandbox.url)
        monkeypatch.setenv("DATAFOLD_API_KEY", sandbox.api_key)
        yield Judge(sandbox, tmp_path)


def calls(name: str) -> Callable[[Call], Call]:
    """Make a function the test of a call."""

    def add(function: Call) -> Call:
        CALLS[name] = function
        return function

    return add


def public(prefix: str, owner: Any, module: str) -> set[str]:
    """Name the functions that a module or class has of its own."""
    own = {name for name, each in vars(owner).items() if getattr(each, "__module__", "") == module}
    return {
        prefix + name
        for name in own
        if not name.startswith("_") and not isinstance(getattr(owner, name), type)
    }


def commands(command: Any, name: str = "cli") -> Iterator[str]:
    """Name the commands below one."""
    if isinstance(command, click.Group):
        for inner, each in command.commands.items():
            yield from commands(each, f"{name} {inner}")
    else:
        yield name


def test_no_call_is_left_out(judge: Judge) -> None:
    server = create_server()

    async def tools() -> set[str]:
        async with Client(server) as client:
            return {f"mcp {tool.name}" for tool in await client.list_tools()}

    functions = public("sdk.ci.", ci, ci.__name__) | public("sdk.dbt.", dbt, dbt.__name__)
    methods = public("api.", cloud.DatafoldAPI, cloud.DatafoldAPI.__module__)
    methods -= {"api.make_get_request", "api.make_post_request"}
    assert set(CALLS) == functions | methods | set(commands(manager)) | asyncio.run(tools())


def pytest_generate_tests(metafunc: Any) -> None:
    if "call" in metafunc.fixturenames:
        metafunc.parametrize("call", [_case(name) for name in CALLS])


def _case(name: str) -> Any:
    refused: Any = {"reason": REFUSED.get(name), "raises": requests.HTTPError, "strict": True}
    marks = [pytest.mark.xfail(**refused)] if name in REFUSED else []
    return pytest.param(CALLS[name], id=name, marks=marks)


def test_call(call: Call, judge: Judge) -> None:
    call(judge)


# The SDK's functions.


@calls("sdk.ci.trigger_ci_run")
def _(judge: Judge) -> None:
    assert judge.trigger() == 1
    assert judge.state.ci.runs[4][1]["pr_branch"] == "feature"


@calls("sdk.ci.list_runs")
def _(judge: Judge) -> None:
    judge.trigger()
    (run,) = ci.list_runs(**judge.login, ci_config_id=4, pr_num=8, pr_sha="a1", limit=5, offset=0)
    assert (run.id, run.pr_num, run.status) == (1, "8", "processing")


@calls("sdk.ci.run_diff")
def _(judge: Judge) -> None:
    diffs = [ci.CiDiff(**each) for each in CHANGES]
    arguments = {**judge.login, "ci_config_id": 4, "pr_num": 8, "diffs": diffs}
    assert ci.run_diff(**arguments) is None
    assert judge.trigger() == ci.run_diff(**arguments)


@calls("sdk.dbt.submit_artifacts")
def _(judge: Judge) -> None:
    facts = {"ci_config_id": 4, "run_type": "production", "commit_sha": "a1", "run_id": "r7"}
    dbt.submit_artifacts(**judge.login, **facts, target_folder=judge.target())
    (artifacts,) = judge.state.seen.artifacts
    assert (artifacts.run_id, artifacts.commit_sha) == ("r7", "a1")


@calls("sdk.dbt.check_artifacts")
def _(judge: Judge) -> None:
    facts = {"ci_config_id": 4, "run_type": "production", "commit_sha": "a1"}
    dbt.check_artifacts(**judge.login, **facts, branch="main")


@calls("sdk.dbt.wait_for_completion")
def _(judge: Judge) -> None:
    judge.trigger()
    dbt.wait_for_completion(**judge.login, ci_config_id=4, commit_sha="a1")
    assert judge.state.ci.jobs[1].ended


@calls("sdk.dbt.check_pks_in_manifest")
def _(judge: Judge) -> None:
    manifest = (DBT / "artifacts/1.11/staging/manifest.json").read_bytes()
    dbt.check_pks_in_manifest(**judge.login, ci_config_id=4, manifest=manifest)


# The class with which the command calls the API.


@calls("api.get_org_meta")
def _(judge: Judge) -> None:
    assert judge.api.get_org_meta().org_name == "Sandbox"


@calls("api.get_data_sources")
def _(judge: Judge) -> None:
    assert [source.type for source in judge.api.get_data_sources()] == ["pg", "snowflake"]


@calls("api.get_data_source")
def _(judge: Judge) -> None:
    assert judge.api.get_data_source(2).name == "Lake"


@calls("api.get_data_source_schema_config")
def _(judge: Judge) -> None:
    known = {"bigquery", "databricks", "mysql", "pg", "redshift", "snowflake"}
    with pytest.raises(KeyError):  # The SDK knows eight of the contract's types, and reads all.
        judge.api.get_data_source_schema_config()
    types = judge.api.make_get_request("api/v1/data_sources/types").json()
    for each in types:
        if each["type"] in known:
            assert cloud.datafold_api.TCloudApiDataSourceSchema.from_orm(each).title


OPTIONS: dict[str, dict[str, Any]] = {
    "pg": {"host": "h", "user": "u", "port": 5432, "password": "secret", "dbname": "d"},
    "mysql": {"host": "h", "user": "u", "password": "secret", "db": "d"},
    "bigquery": {"projectId": "p", "jsonKeyFile": "{}", "location": "EU"},
}


@calls("api.create_data_source")
def _(judge: Judge) -> None:
    for kind, options in OPTIONS.items():
        config = cloud.datafold_api.TDsConfig(
            name=kind, type=kind, temp_schema="t", options=options
        )
        created = judge.api.create_data_source(config)
        assert judge.api.get_data_source(created.id).name == kind
        assert "secret" not in str(created.options)


@calls("api.test_data_source")
def _(judge: Judge) -> None:
    assert judge.api.test_data_source(1) == 1


@calls("api.check_data_source_test_results")
def _(judge: Judge) -> None:
    job = judge.api.test_data_source(1)
    for _ in range(3):
        results = judge.api.check_data_source_test_results(job)
    assert {step.result.outcome for step in results if step.result} == {"success"}


@calls("api.create_data_diff")
def _(judge: Judge) -> None:
    number = judge.diff()
    assert [diff["id"] for diff in judge.new_diffs()] == [number]


@calls("api.poll_data_diff_results")
def _(judge: Judge) -> None:
    found = judge.api.poll_data_diff_results(judge.diff())
    assert (found.pks.exclusives, found.values.rows_with_differences) == ((1, 0), 1)


# The command.


@calls("cli version")
def _(judge: Judge) -> None:
    assert "0.4.1" in judge.cli("version")


@calls("cli ci trigger")
def _(judge: Judge) -> None:
    facts = [f"--{name.replace('_', '-')}={value}" for name, value in PULL_REQUEST.items()]
    judge.cli("ci", "trigger", "--ci-config-id=4", "--pr-num=8", *facts)
    assert judge.state.ci.runs[4]


@calls("cli ci submit")
def _(judge: Judge) -> None:
    run = judge.trigger()
    file = judge.folder / "diffs.json"
    file.write_text(json.dumps(CHANGES))
    judge.cli("ci", "submit", "--ci-config-id=4", "--pr-num=8", f"--diffs={file}")
    assert judge.state.ci.changes[run][0]["pr"] == "orders_staging"


@calls("cli ci auto trigger")
def _(judge: Judge) -> None:
    def git(*arguments: str) -> str:
        author = ("-c", "user.name=judge", "-c", "user.email=judge@example.com")
        command = ["git", *author, *arguments]
        done = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    repository = judge.folder / "repository"
    repository.mkdir()
    git("init", "--quiet")
    git("commit", "--allow-empty", "--quiet", "--message=base")
    (repository / "orders.sql").write_text("-- datafold: pk=id\ncreate table ${s}.orders as x")
    base = git("rev-parse", "HEAD")
    git("add", ".")
    git("commit", "--quiet", "--message=change")
    judge.cli(
        *("ci", "auto", "trigger", "--ci-config-id=4", "--pr-num=8"),
        *(f"--base-sha={base}", f"--pr-sha={git('rev-parse', 'HEAD')}"),
        *("--base-branch=main", "--pr-branch=feature", f"--root-path={repository}"),
        *('--pr-params={"s": "staging"}', '--reference-params={"s": "public"}'),
    )
    ((change,),) = judge.state.ci.changes.values()
    assert (change["prod"], change["pr"]) == ("public.orders", "staging.orders")


@calls("cli dbt upload")
def _(judge: Judge) -> None:
    facts = ("--ci-config-id=4", "--run-type=production", "--commit-sha=a1")
    judge.cli("dbt", "upload", *facts, f"--target-folder={judge.target()}")
    assert judge.state.seen.artifacts


@calls("cli dbt upload-and-wait")
def _(judge: Judge) -> None:
    judge.trigger()
    facts = ("--ci-config-id=4", "--run-type=pull_request", "--commit-sha=a1")
    judge.cli("dbt", "upload-and-wait", *facts, f"--target-folder={judge.target()}")
    assert judge.state.ci.jobs[1].ended


@calls("cli dbt check-post-upload-dbt-artifacts")
def _(judge: Judge) -> None:
    facts = ("--ci-config-id=4", "--run-type=production", "--commit-sha=a1", "--branch=main")
    judge.cli("dbt", "check-post-upload-dbt-artifacts", *facts)


@calls("cli dbt check-primary-keys")
def _(judge: Judge) -> None:
    judge.cli("dbt", "check-primary-keys", "--ci-config-id=4", f"{judge.target()}/manifest.json")


def manifest_for_the_sdk(run: str) -> str:
    """Return the manifest of a dbt run, as this SDK reads it: it demands a field that dbt omits."""
    manifest = json.loads((DBT / f"artifacts/1.11/{run}/manifest.json").read_text())
    for node in manifest["nodes"].values():
        node.setdefault("test_metadata", None)
    return json.dumps(manifest)


@calls("cli diff dbt")
def _(judge: Judge) -> None:
    project = "name: shop\nvars: {data_diff: {datasource_id: 2}}\n"
    (judge.folder / "dbt_project.yml").write_text(project)
    (Path(judge.target()) / "manifest.json").write_text(manifest_for_the_sdk("staging"))
    production = judge.folder / "production.json"
    production.write_text(manifest_for_the_sdk("production"))
    judge.cli("diff", "dbt", f"--dbt-project-dir={judge.folder}", f"--state={production}")
    # It prints an error, and ends well. That it went on to the results shows that it found none.
    diffs = judge.new_diffs()
    assert "ORDERS" in {diff["table2"][-1] for diff in diffs}  # As Snowflake writes it.
    assert all(diff["done"] for diff in diffs)


@calls("cli monitors provision")
def _(judge: Judge) -> None:
    file = judge.folder / "monitors.yaml"
    file.write_text("monitors: {}")
    judge.cli("monitors", "provision", str(file))


@calls("cli queries run")
def _(judge: Judge) -> None:
    judge.cli("queries", "run", "--id=1")


# The MCP server.


@calls("mcp list_data_sources")
def _(judge: Judge) -> None:
    assert len(judge.mcp("list_data_sources")["result"]) == 2


@calls("mcp get_table_schema")
def _(judge: Judge) -> None:
    found = judge.mcp("get_table_schema", data_source_id=1, table_path=["orders"])
    assert [column["name"] for column in found["columns"]] == ["id", "customer", "amount"]


@calls("mcp guess_primary_keys")
def _(judge: Judge) -> None:
    found = judge.mcp("guess_primary_keys", data_source_id=1, table=["orders"])
    assert found["candidates"] == [{"pk": ["id"]}]


@calls("mcp run_query")
def _(judge: Judge) -> None:
    query = "select count(*) as rows from orders_staging"
    assert judge.mcp("run_query", data_source_id=1, query=query)["rows"] == [{"rows": 99}]


@calls("mcp run_query_from_file")
def _(judge: Judge) -> None:
    file = judge.folder / "query.sql"
    file.write_text("select count(*) as rows from orders")
    found = judge.mcp("run_query_from_file", data_source_id=1, query_file_path=str(file))
    assert found["rows"] == [{"rows": 100}]


@calls("mcp run_datadiff")
def _(judge: Judge) -> None:
    found = judge.mcp("run_datadiff", **SOURCES, **TABLES, datetime_tolerance=1)
    assert found["pk_columns"] == ["id"]
    (diff,) = judge.new_diffs()
    assert diff["result"] == "different"


@calls("mcp datadiff_status")
def _(judge: Judge) -> None:
    found = judge.mcp("datadiff_status", diff_id=judge.ended_diff())
    assert (found["status"], found["result"]) == ("done", "different")


@calls("mcp datadiff_summary")
def _(judge: Judge) -> None:
    assert judge.mcp("datadiff_summary", diff_id=judge.ended_diff())["status"]
