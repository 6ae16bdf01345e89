"""Data sources: the databases that Datafold connects to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldRejectedError
from airflow_provider_datafold.redaction.secret import concealed

_NOUN = "data source"
_PATH = "/api/v1/data_sources"
_ONE = f"{_PATH}/{{data_source_id}}"
_LARGE = 64 * 1024 * 1024

LIST = Operation("GET", _PATH, Effect.READS, _NOUN, list, carries_secrets=True)
LIST_TYPES = Operation("GET", f"{_PATH}/types", Effect.READS, _NOUN, list)
GET = Operation("GET", _ONE, Effect.READS, _NOUN, dict, carries_secrets=True)
GET_SUMMARY = Operation("GET", f"{_ONE}/summary", Effect.READS, _NOUN, dict)
CREATE = Operation("POST", _PATH, Effect.STARTS, _NOUN, dict, carries_secrets=True)
TEST = Operation("POST", f"{_ONE}/test", Effect.STARTS, _NOUN, dict)
GET_TEST = Operation(
    "GET",
    f"{_PATH}/test/{{job_id}}",
    Effect.READS,
    "test of a data source",
    dict,
    repeats=("id", "job_id"),
)
# A query may write.
QUERY = Operation("POST", f"{_ONE}/query", Effect.STARTS, _NOUN, dict, largest=_LARGE)
_QUESTION = {
    "table": fields.table_path,
    "candidates": fields.between(1, 100),
    "sample_size": fields.between(1, fields.LARGEST),
    "avoid_types": fields.texts,
    "avoid_names": fields.texts,
}
GUESS_KEY = Operation(
    "POST",
    f"{_ONE}/guess_pk",
    Effect.READS,
    _NOUN,
    dict,
    body=lambda body: fields.each_checked({name: _QUESTION[name] for name in body}, body),
    to_check="the data source's id and the table",
    seen_in="datafold-sdk 0.4.1",
)


class DataSourceMethods(Caller):
    """The hook's methods for data sources."""

    def list_data_sources(self) -> list[dict[str, Any]]:
        """List data sources (``GET /api/v1/data_sources``).

        :return: a list of data sources: ``id``, ``name``, ``type``, ``options`` and more.
        """
        return self.call(LIST)

    def list_data_source_types(self) -> list[dict[str, Any]]:
        """List the types of data source (``GET /api/v1/data_sources/types``).

        :return: a list of ``name``, ``type``, ``configuration_schema``, ``features``.
        """
        return self.call(LIST_TYPES)

    def get_data_source(self, data_source_id: int | str) -> dict[str, Any]:
        """Read a data source (``GET /api/v1/data_sources/{data_source_id}``).

        :param data_source_id: its id.
        :return: ``id``, ``name``, ``type``, ``options`` and more. Secrets in it are replaced.
        """
        return self.call(GET, data_source_id=data_source_id)

    def get_data_source_summary(self, data_source_id: int | str) -> dict[str, Any]:
        """Read a data source's name and type (``GET .../data_sources/{data_source_id}/summary``).

        :param data_source_id: its id.
        :return: ``id``, ``name``, ``type``.
        """
        return self.call(GET_SUMMARY, data_source_id=data_source_id)

    @concealed
    def create_data_source(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Create a data source (``POST /api/v1/data_sources``).

        :param config: values by the API's names: ``name``, ``type`` (e.g. ``"pg"``,
            ``"snowflake"``) and ``options``, which depend on the type and hold its secrets.
        :return: the data source. Secrets in it are replaced.
        """
        return self.call(CREATE, config)

    def test_data_source(self, data_source_id: int | str) -> dict[str, Any]:
        """Start a test of a data source (``POST /api/v1/data_sources/{data_source_id}/test``).

        :param data_source_id: its id.
        :return: ``job_id``, for :meth:`get_data_source_test`.
        """
        return self.call(TEST, data_source_id=data_source_id)

    def get_data_source_test(self, job_id: int | str) -> dict[str, Any]:
        """Read a test of a data source (``GET /api/v1/data_sources/test/{job_id}``).

        :param job_id: id of the test.
        :return: ``id``, ``status`` and ``results``, a list with an entry for each step. A failed
            step is ``done``, too; its ``result`` says that it failed.
        """
        return self.call(GET_TEST, job_id=job_id)

    def query_data_source(
        self, data_source_id: int | str, query: str, *, params: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Run a query (``POST /api/v1/data_sources/{data_source_id}/query``).

        It is sent again only if it was not processed: a query may write.

        :param data_source_id: the data source's id.
        :param query: the SQL.
        :param params: the query's parameters.
        :return: ``rows`` (a list of objects by column) and possibly ``columns``; 64 MiB at most.
        """
        body = {"query": query} if params is None else {"query": query, "params": params}
        return self.call(QUERY, body, data_source_id=data_source_id)

    def guess_primary_key(
        self,
        data_source_id: int | str,
        table: Sequence[str] | str,
        *,
        sample_size: int | None = None,
        avoid_types: Sequence[str] | None = None,
        avoid_names: Sequence[str] | None = None,
        candidates: int = 1,
    ) -> list[list[str]]:
        """Look for a table's primary key (``POST .../data_sources/{data_source_id}/guess_pk``).

        Datafold looks at the data: the columns identify the rows of today.

        :param data_source_id: the data source's id.
        :param table: the table's path: a list of parts, or a string with dots between them.
        :param sample_size: how many rows to look at; by default as many as Datafold likes.
        :param avoid_types: types of columns to leave out.
        :param avoid_names: names of columns to leave out.
        :param candidates: how many keys to return at most.
        :return: keys, each a list of columns; empty if there is none.
        :raises DatafoldRejectedError: Datafold says why it cannot tell.
        :raises DatafoldAnswerError: a column of a key is not a string.
        """
        wanted = {
            "table": table,
            "candidates": candidates,
            "sample_size": sample_size,
            "avoid_types": avoid_types,
            "avoid_names": avoid_names,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        answer = self.call(GUESS_KEY, body, data_source_id=data_source_id)
        if error := answer.get("error"):
            said = self._redactor().excerpt(str(error)).rstrip(".")
            raise DatafoldRejectedError(f"Datafold cannot guess the primary key: {said}.")
        found = answer.get("candidates") or ()
        guessed = [each.get("pk") for each in found if isinstance(each, Mapping)]
        keys = [key for key in guessed if key and isinstance(key, list)]
        for key in keys:
            if not all(isinstance(name, str) for name in key):
                said = self._redactor().excerpt(f"{key} of the table {table}")
                raise DatafoldAnswerError(
                    f"Datafold guessed the primary key {said}, but a column's name must be a "
                    f"string. Find the key yourself, and pass it."
                )
        return [key for key in keys if all(map(str.strip, key))]
