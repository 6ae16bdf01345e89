"""A verdict believes no answer that contradicts itself, and no count of a sample."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.gate.limits import Limits
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict, judge

STATS: dict[str, Any] = {
    "version": "1",
    "rows_added": 0,
    "rows_removed": 0,
    "diff_rows_count": 0,
    "match_ratio": 1.0,
    "diff_schema": 0.0,
    "table_a_row_count": 100,
    "table_b_row_count": 100,
    "errors": None,
    "sampled": False,
}
EQUAL_RESULTS = {"pks": {"exclusives": [0, 0]}}
GROWN = {"rows_added": 5, "table_b_row_count": 105, "match_ratio": 0.9}
RESULTS: dict[str, dict[str, Any]] = {
    "pks": {"exclusives": [0, 5], "dupes": [0, 0], "nulls": [0, 0]},
    "values": {
        "total_rows": 100,
        "rows_with_differences": 0,
        "values_with_differences": 0,
        "compared_columns": 3,
        "columns_diff_stats": [{"column_name": "a", "values_different_estimate": None}, "odd"],
    },
    "schema": {
        "columns_mismatched": [0, 0],
        "column_type_mismatches": 0,
        "column_counts": [4, 4],
    },
}
"""What the results say of GROWN."""
NO_ROWS = {"table_a_row_count": 0, "table_b_row_count": 0, "match_ratio": 0.0}
GENEROUS: dict[str, Any] = dict.fromkeys(
    ("max_rows_added", "max_rows_removed", "max_rows_different"), 1000
)
ALLOWED = {"allow_schema_changes": True}
FIRST, SECOND = "rows on the first side", "rows on the second side"


def diff(result: Any, /, stats: Any = None, **fields: Any) -> dict[str, Any]:
    found = {"result": result, "kind": "in_db", "pk_columns": ["id"], **fields}
    return {**found, "diff_stats": STATS | (stats or {})}


def results(**sections: Any) -> dict[str, Any]:
    """The results of GROWN with other figures; a section may be null."""
    changed = {
        name: {**RESULTS.get(name, {}), **section} if isinstance(section, dict) else section
        for name, section in sections.items()
    }
    return {"status": "success", **RESULTS, **changed}


def of(found: dict[str, Any], said: Any = None, **limits: Any) -> Verdict:
    """The verdict, with the results if they are needed."""
    verdict = judge(found, Limits(**limits), may_be_empty=True)
    if verdict.outcome is not Outcome.UNCONFIRMED:
        return verdict
    return judge(found, Limits(**limits), may_be_empty=True, results=results(**(said or {})))


def contradiction(verdict: Verdict) -> str:
    assert verdict.outcome is Outcome.NOT_COMPARED
    assert set(verdict.assertions) == {("compared", False)}
    said = "Datafold's answer contradicts itself: "
    assert verdict.reason.startswith(said)
    return verdict.reason.removeprefix(said)


COUNT, AMOUNT, SHARE = "a whole number, 0 or more", "a number, 0 or more", "a number from 0 to 1"
INFINITE, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("field", "name", "allowed", "values"),
    [
        ("rows_added", "rows added", COUNT, (-1, True, "0", NAN, 2**63)),
        ("rows_removed", "rows removed", COUNT, (-1,)),
        ("diff_rows_count", "rows different", COUNT, (-1,)),
        ("table_a_row_count", FIRST, COUNT, (-1,)),
        ("table_b_row_count", SECOND, COUNT, (0.5,)),
        ("errors", "errors", COUNT, (-1,)),
        ("match_ratio", "match ratio", SHARE, (1.01, 95, -0.1, NAN)),
        ("diff_schema", "schema differences", AMOUNT, (INFINITE,)),
        ("diff_null_pks", "null primary keys", AMOUNT, (NAN,)),
        ("diff_duplicate_pks", "doubled primary keys", AMOUNT, (-0.1,)),
        *((f"diff_{of}", f"diff_{of}", AMOUNT, (-1,)) for of in ("pks", "rows", "values")),
        ("diff_rows_number", "diff_rows_number", AMOUNT, (-INFINITE,)),
        ("sampled", "sampled", "true or false", ("no",)),
    ],
)
@pytest.mark.parametrize("limits", [{}, {"max_rows_added": 9}, {"min_match_ratio": 0.0}], ids=repr)
def test_a_figure_that_cannot_be(
    field: str, name: str, allowed: str, values: tuple[Any, ...], limits: Any
) -> None:
    for value in values:
        for result in ("identical", "different", "empty"):
            words = contradiction(of(diff(result, {field: value}), **limits))
            assert words == f"{name} is {value!r}, but must be {allowed}"


def test_what_is_no_figure_at_all() -> None:
    for stats in ("x", [1], 0):
        found = {"result": "identical", "kind": "in_db", "diff_stats": stats}
        assert contradiction(of(found)) == f"diff_stats is {stats!r}, but must be an object"
    huge = contradiction(of(diff("identical", {"rows_added": 10**5000})))
    assert huge == f"rows added is an integer of thousands of digits, but must be {COUNT}"


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({"errors": 12}, "errors 12"),
        ({"rows_added": 5}, "rows added 5"),
        ({"rows_removed": 5}, "rows removed 5"),
        ({"diff_rows_count": 5}, "rows different 5"),
        ({"table_b_row_count": 0}, f"{FIRST} 100, {SECOND} 0"),
        ({"table_a_row_count": 0}, f"{FIRST} 0, {SECOND} 100"),
        ({"diff_schema": 1}, "schema differences 1"),
        ({"match_ratio": 0.99}, "match ratio 0.99"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("limits", [{}, GENEROUS, {"min_match_ratio": 0}], ids=repr)
def test_identical_agrees_with_every_figure(stats: Any, words: str, limits: Any) -> None:
    found = contradiction(of(diff("identical", stats), **limits))
    assert found == f"the result is 'identical', but {words}"


@pytest.mark.parametrize(
    ("found", "limits"),
    [
        (diff("identical"), {}),
        ({"result": "identical", "diff_stats": None}, {}),
        (diff("identical", dict.fromkeys(STATS)), {}),
        (diff("identical", {"table_a_row_count": None}), {}),
        (diff("identical", {"errors": 0}), {}),
        (diff("identical", {"diff_schema": 1, "match_ratio": 0.9}), ALLOWED),
        # Across databases Datafold does not measure it.
        (diff("identical", {"diff_schema": 1}, kind="cross_db"), {}),
        # A column that only one side has lowers the ratio, and nothing else tells of it.
        (diff("identical", {"match_ratio": 0.9}, kind="cross_db"), {}),
        # Datafold publishes no meaning of these.
        (diff("identical", {"diff_rows": 1, "diff_pks": 1}), {}),
    ],
    ids=repr,
)
def test_what_was_not_measured_contradicts_nothing(found: Any, limits: Any) -> None:
    assert of(found, EQUAL_RESULTS, **limits) == Verdict(Outcome.PASSES, "identical")


def test_a_ratio_across_databases_needs_the_counts() -> None:
    found = diff("identical", {"match_ratio": 0.9, "rows_added": None}, kind="cross_db")
    assert contradiction(of(found)) == "the result is 'identical', but match ratio 0.9"


def test_identical_needs_the_results_unless_all_was_compared() -> None:
    assert judge(diff("identical"), Limits()).outcome is Outcome.PASSES
    without = {name: figure for name, figure in STATS.items() if name != "sampled"}
    for found in (
        diff("identical", {"sampled": None}),
        {**diff("identical"), "diff_stats": without},
    ):
        assert judge(found, Limits()).outcome is Outcome.UNCONFIRMED
        assert of(found, EQUAL_RESULTS, max_rows_added=0) == Verdict(Outcome.PASSES, "identical")
        # It says nothing of the comparison that the tables of its results are samples.
        stored = {"diff": [{"data_source_id": 1, "path": ["T"], "is_sampled": True}]}
        said = {**EQUAL_RESULTS, "materialized_results": stored}
        assert of(found, said) == Verdict(Outcome.PASSES, "identical")


@pytest.mark.parametrize(
    "stats", [NO_ROWS, {"table_a_row_count": 0, "table_b_row_count": None}], ids=repr
)
@pytest.mark.parametrize("result", ["identical", "empty"])
@pytest.mark.parametrize("limits", [{}, {"min_match_ratio": 0}], ids=repr)
def test_identical_without_rows_is_empty(result: str, stats: Any, limits: Any) -> None:
    found = diff(result, stats)
    reason = "there are no rows to compare"
    assert judge(found, Limits(**limits)) == Verdict(Outcome.EMPTY, reason)
    assert judge(found, Limits(**limits), may_be_empty=True) == Verdict(Outcome.PASSES, reason)


def test_different_tables_without_rows_are_empty() -> None:
    # Their columns differ, which is allowed.
    found = diff("different", {**NO_ROWS, "diff_schema": 1})
    assert judge(found, Limits(allow_schema_changes=True)).outcome is Outcome.EMPTY
    verdict = of(found, {**EQUAL_RESULTS, "values": None, "schema": None}, **ALLOWED)
    # Nothing was compared, so nothing is asserted.
    assert (verdict.outcome, verdict.assertions) == (Outcome.PASSES, (("compared", False),))
    # One side has rows.
    gone = diff("different", {"rows_removed": 100, "table_b_row_count": 0})
    assert judge(gone, Limits(**GENEROUS)).outcome is Outcome.UNCONFIRMED


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({"errors": 12}, "errors 12"),
        ({"table_a_row_count": 100}, f"{FIRST} 100"),
        ({"table_b_row_count": 100}, f"{SECOND} 100"),
        ({"rows_added": 1}, "rows added 1"),
        ({"rows_removed": 1}, "rows removed 1"),
        ({"diff_rows_count": 1}, "rows different 1"),
        ({"diff_null_pks": 1}, "null primary keys 1"),
    ],
    ids=repr,
)
def test_what_has_rows_is_not_empty(stats: Any, words: str) -> None:
    found = contradiction(of(diff("empty", {**NO_ROWS, **stats})))
    assert found == f"the result is 'empty', but {words}"


NO_DIFFERENCE = "rows added 0, rows removed 0, rows different 0, schema differences 0"


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ({"errors": 12}, "the result is 'different', but errors 12"),
        (
            {"table_b_row_count": 200, "diff_rows_count": 1},
            f"{SECOND} 200, but {FIRST} 100, rows added 0, rows removed 0, which makes 100",
        ),
        (
            {"rows_added": 5, "rows_removed": 2, "table_b_row_count": 104},
            f"{SECOND} 104, but {FIRST} 100, rows added 5, rows removed 2, which makes 103",
        ),
        ({"rows_removed": 101}, f"rows removed 101, but {FIRST} 100"),
        ({"rows_added": 101}, f"rows added 101, but {SECOND} 100"),
        *(
            (
                {"rows_removed": 90, "table_b_row_count": second, "diff_rows_count": 101},
                "rows different 101, but rows on both sides 10 by the other counts",
            )
            for second in (10, None)
        ),
        ({}, f"the result is 'different', but {NO_DIFFERENCE}"),
        ({"match_ratio": 0.95}, f"the result is 'different', but {NO_DIFFERENCE}"),
    ],
    ids=repr,
)
def test_the_counts_of_different_tables_add_up(stats: Any, words: str) -> None:
    assert contradiction(of(diff("different", stats), **GENEROUS)) == words


@pytest.mark.parametrize(
    ("stats", "limits"),
    [
        (GROWN, GENEROUS),
        ({**GROWN, "table_b_row_count": None}, GENEROUS),
        # Whether the rows different include those of one side is published nowhere.
        ({"rows_removed": 90, "table_b_row_count": 10, "diff_rows_count": 99}, GENEROUS),
        ({"diff_schema": 1}, ALLOWED),
        ({"diff_schema": None}, ALLOWED),
        ({"match_ratio": 0.95}, {"min_match_ratio": 0.9}),
    ],
    ids=repr,
)
def test_a_difference_that_can_be(stats: Any, limits: Any) -> None:
    unmeasured = {"total_rows": None, "values_with_differences": None}
    said = {"pks": {"exclusives": None}, "values": unmeasured}
    assert of(diff("different", stats), said, **limits).outcome is Outcome.PASSES


def test_a_difference_without_figures_can_be() -> None:
    unmeasured = of(diff("different", {**GROWN, "rows_removed": None}), max_rows_added=5)
    assert unmeasured.outcome is Outcome.NOT_COMPARED
    assert "did not measure" in unmeasured.reason
    across = of(diff("different", kind="cross_db"), EQUAL_RESULTS, **GENEROUS)
    assert across.outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"pks": {"exclusives": [0, 6]}}, "rows added 5, but rows added in the results 6"),
        ({"pks": {"exclusives": [1, 5]}}, "rows removed 0, but rows removed in the results 1"),
        (
            {"values": {"rows_with_differences": 3, "values_with_differences": 3}},
            "rows different 0, but rows different in the results 3",
        ),
        (
            {"values": {"rows_with_differences": None, "values_with_differences": 3}},
            "rows different 0, but values different 3",
        ),
        (
            {"values": {"total_rows": 99}},
            f"rows compared 99, but {FIRST} 100, {SECOND} 105, rows added 5, rows removed 0",
        ),
        (
            {"values": {"columns_diff_stats": [{"column_name": "a", "values_different": 900}]}},
            "values different 0, but 900 of them in the column 'a'",
        ),
        *(
            ({"schema": schema}, f"schema differences 0, but columns {words}")
            for schema, words in (
                ({"columns_mismatched": [0, 1]}, "only on the second side 1"),
                ({"exclusive_columns": [[], ["new"]]}, "named only on the second side 1"),
                ({"column_type_differs": ["a", "b"]}, "named with another type 2"),
                ({"column_type_mismatches": 2}, "of another type 2"),
            )
        ),
        ({"values": [1]}, "values is [1], but must be an object"),
        ({"pks": "x"}, "pks is 'x', but must be an object"),
        ({"schema": 5}, "schema is 5, but must be an object"),
        ({"pks": {"exclusives": {"a": 500}}}, "exclusives is {'a': 500}, but must be a list"),
        ({"pks": {"dupes": 0}}, "dupes is 0, but must be a list"),
        ({"pks": {"nulls": "0"}}, "nulls is '0', but must be a list"),
        ({"values": {"columns_diff_stats": {}}}, "columns_diff_stats is {}, but must be a list"),
        ({"schema": {"exclusive_columns": {}}}, "exclusive_columns is {}, but must be a list"),
        (
            {"schema": {"exclusive_columns": [[], "new"]}},
            f"columns named only on the second side is 'new', but must be {COUNT}",
        ),
        ({"schema": {"column_type_differs": ""}}, "column_type_differs is '', but must be a list"),
        (
            {"status": "failed"},
            "the result is 'different', but the status of its results is 'failed'",
        ),
        (
            {"pks": {"exclusives": [-1, 5]}},
            f"rows removed in the results is -1, but must be {COUNT}",
        ),
    ],
    ids=repr,
)
def test_the_results_have_to_agree(said: Any, words: str) -> None:
    found = diff("different", GROWN)
    assert of(found, **GENEROUS).outcome is Outcome.PASSES
    assert contradiction(of(found, said, **GENEROUS)) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            {"exclusive_columns": [["old"], []]},
            "columns only on the first side 0, but columns named only on the first side 1",
        ),
        (
            {"column_type_differs": ["a"]},
            "columns of another type 0, but columns named with another type 1",
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("result", "stats", "equal"), [("identical", {}, EQUAL_RESULTS), ("different", GROWN, {})]
)
def test_columns_that_are_named_are_counted(
    schema: Any, words: str, result: str, stats: Any, equal: Any
) -> None:
    found = diff(result, {**stats, "diff_schema": None, "sampled": None})
    said = results(**{**equal, "schema": schema})
    assert contradiction(judge(found, Limits(min_match_ratio=0.5), results=said)) == words
    allowed = Limits(min_match_ratio=0.5, allow_schema_changes=True)
    assert judge(found, allowed, results=said).outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        # Only those that differ in a value are in the results.
        ({"diff_rows_count": 8}, {"rows_with_differences": 5, "values_with_differences": 5}),
        ({"diff_rows_count": 5}, {"rows_with_differences": 4, "values_with_differences": 9}),
    ],
    ids=repr,
)
def test_a_claim_of_more_rows_is_only_stricter(claimed: Any, said: Any) -> None:
    found = diff("different", {**GROWN, **claimed})
    said = {"pks": {"exclusives": [0, 3]}, "values": said}
    assert of(found, said, **GENEROUS).outcome is Outcome.PASSES
    assert of(found, said, max_rows_added=3, max_rows_different=9).outcome is Outcome.DIFFERS
    assert of(found, said, max_rows_added=5, max_rows_different=4).outcome is Outcome.DIFFERS


def test_results_that_are_not_final_or_have_no_rows_say_nothing() -> None:
    found, limits = diff("different", GROWN), Limits(**GENEROUS)
    for status in (None, "running", "pending", "processing", "queued", "error", 7):
        said = results(status=status, pks={"exclusives": [0, 99]})
        assert judge(found, limits, results=said).outcome is Outcome.UNCONFIRMED
    for status in ("done", "success"):
        for said in ({}, {"dependencies": []}, {"pks": None, "values": None}):
            said = {"status": status, **said}
            assert judge(found, limits, results=said).outcome is Outcome.UNCONFIRMED
            for section in ("pks", "values"):
                verdict = judge(found, limits, results={**said, section: {}})
                assert verdict.outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("stats", "pks", "values", "words"),
    [
        # A row that differs has a value that does.
        ({}, {"exclusives": [0, 0]}, {"values_with_differences": 4}, "values different 4"),
        # No more rows differ than were compared.
        ({"table_a_row_count": None}, None, {"total_rows": 4}, "rows compared 4"),
    ],
)
def test_rows_that_differ_are_among_those_that_were_compared(
    stats: Any, pks: Any, values: Any, words: str
) -> None:
    found = diff("different", {"diff_rows_count": 5, **stats})
    values = {"rows_with_differences": 5, "values_with_differences": 9, **values}
    verdict = of(found, {"pks": pks, "values": values}, **GENEROUS, min_match_ratio=0.0)
    assert contradiction(verdict) == f"rows different 5, but {words}"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        # Whether the schema counts columns that are not compared is published nowhere.
        (
            diff("different", GROWN, exclude_columns=["a"]),
            {"schema": {"columns_mismatched": [1, 0]}},
        ),
        # Checksums leave out the rows that are equal.
        (diff("different", GROWN, algorithm="hash"), {"values": {"total_rows": 1}}),
        (diff("different", GROWN, kind="cross_db"), {"values": {"total_rows": 1}}),
        (diff("different", GROWN), {"values": None, "pks": {"exclusives": None}, "schema": None}),
    ],
    ids=["columns", "checksums", "across databases", "nothing"],
)
def test_results_that_agree(found: Any, said: Any) -> None:
    verdict = judge(found, Limits(**GENEROUS), results=results(**said))
    assert verdict.outcome is Outcome.PASSES


BAD_KEYS = "some primary keys are null or doubled, so the counts of rows say nothing"


@pytest.mark.parametrize(
    ("stats", "pks"),
    [
        ({"diff_duplicate_pks": 1.0}, {}),
        ({"diff_null_pks": 0.01}, {}),
        *(({}, {keys: sides}) for keys in ("dupes", "nulls") for sides in ([0, 1], [1, 0])),
    ],
    ids=repr,
)
def test_bad_keys_count_no_rows(stats: Any, pks: Any) -> None:
    found, said = diff("different", {**GROWN, **stats}), {"pks": pks}
    for limits in (GENEROUS, {"min_match_ratio": 0.5, "max_rows_added": 9}):
        assert of(found, said, **limits) == Verdict(Outcome.NOT_COMPARED, BAD_KEYS)
    assert of(found, said, min_match_ratio=0.5).outcome is Outcome.PASSES
    # Without limits it is a difference, whatever its keys.
    assert of(found, said).outcome is Outcome.DIFFERS


def test_what_is_identical_by_bad_keys_was_not_compared() -> None:
    found = diff("identical", {"diff_duplicate_pks": 0.1})
    assert of(found) == of(found, max_rows_added=1) == Verdict(Outcome.NOT_COMPARED, BAD_KEYS)
    assert of(found, min_match_ratio=0.9).outcome is Outcome.PASSES


# The match ratio.


@pytest.mark.parametrize(
    ("stats", "rows"),
    [
        ({"rows_removed": 100, "table_b_row_count": 0}, None),
        ({"rows_removed": 100, "table_b_row_count": None}, None),
        ({"rows_removed": None, "table_b_row_count": 0}, None),
        ({"rows_added": 1, "table_a_row_count": None, "table_b_row_count": None}, 0),
    ],
    ids=repr,
)
def test_a_ratio_of_no_rows_is_none(stats: Any, rows: int | None) -> None:
    said = {"pks": {"exclusives": []}, "values": {"total_rows": rows}}
    reason = "no row is on both sides, so the match ratio says nothing"
    verdict = of(diff("different", stats), said, min_match_ratio=0.9)
    assert verdict == Verdict(Outcome.NOT_COMPARED, reason)


def some_differ(count: int, **values: Any) -> dict[str, Any]:
    """The results where a value of each of these rows differs."""
    differ = {"rows_with_differences": count, "values_with_differences": count}
    return {**EQUAL_RESULTS, "values": {**differ, **values}}


@pytest.mark.parametrize("ratio", [0.8755, 0.875])
def test_a_ratio_is_not_above_that_of_all_values(ratio: float) -> None:
    # Of 100 rows with 4 columns, 50 values differ: 0.875, which may be rounded, but not a limit.
    found = diff("different", {"diff_rows_count": 50, "match_ratio": ratio})
    assert of(found, some_differ(50), min_match_ratio=0.875).outcome is Outcome.PASSES
    nearer = of(found, some_differ(50), min_match_ratio=0.8751)
    by_values = "" if ratio == 0.875 else " by the values different"
    reason = f"match ratio 0.875{by_values} (at least 0.8751)"
    assert nearer == Verdict(Outcome.DIFFERS, reason)


@pytest.mark.parametrize("ratio", [0.9, 0.877])
def test_a_ratio_above_that_of_all_values_is_a_contradiction(ratio: float) -> None:
    found = diff("different", {"diff_rows_count": 50, "match_ratio": ratio})
    assert contradiction(of(found, some_differ(50), min_match_ratio=0.5)) == (
        f"match ratio {ratio:g}, but values different 50, rows compared 100, columns compared 3"
    )


@pytest.mark.parametrize("fields", [{}, {"pk_columns": None}, {"kind": "cross_db"}], ids=repr)
def test_where_values_differ_the_ratio_is_below_one(fields: Any) -> None:
    found = diff("different", {"diff_rows_count": 4}, **fields)
    for least in (0.5, 1.0):
        verdict = of(found, some_differ(4), min_match_ratio=least)
        assert contradiction(verdict) == "match ratio 1, but values different 4"


@pytest.mark.parametrize("fields", [{"kind": "cross_db"}, {"algorithm": "hash_v2_alpha"}], ids=repr)
@pytest.mark.parametrize("read", [60, 1000])
def test_rows_that_were_read_are_not_all_rows(fields: Any, read: int) -> None:
    # Some read only the rows that differ, others all.
    stats = {"table_a_row_count": 1000, "table_b_row_count": 1000, "diff_rows_count": 50}

    def with_ratio(ratio: float) -> Verdict:
        found = diff("different", {**stats, "match_ratio": ratio}, **fields)
        return of(found, some_differ(50, total_rows=read), min_match_ratio=0.98)

    assert with_ratio(0.9875).outcome is Outcome.PASSES
    # The tables' own counts hold.
    assert contradiction(with_ratio(0.99)) == (
        f"match ratio 0.99, but values different 50, {FIRST} 1000, {SECOND} 1000, "
        f"rows added 0, rows removed 0, columns compared 3"
    )


@pytest.mark.parametrize("fields", [{"kind": "cross_db"}, {"algorithm": "hash_v2_alpha"}], ids=repr)
def test_where_no_row_was_read_the_tables_say_whether_there_is_any(fields: Any) -> None:
    grown = {"rows_added": 3, "table_b_row_count": 103, "match_ratio": 0.997}
    gone = {"rows_removed": 100, "table_b_row_count": 0, "match_ratio": 0.99}
    for stats, pks, outcome in (
        (grown, [0, 3], Outcome.PASSES),
        (gone, [100, 0], Outcome.NOT_COMPARED),
    ):
        said = {"pks": {"exclusives": pks}, "values": {"total_rows": 0}}
        verdict = of(diff("different", stats, **fields), said, min_match_ratio=0.98)
        assert verdict.outcome is outcome
    assert "no row is on both sides" in verdict.reason


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pk_columns": None}, some_differ(50)),
        ({}, some_differ(50, compared_columns=None)),
        ({}, {**some_differ(50), "schema": {"column_counts": [400, 400]}}),
    ],
    ids=repr,
)
def test_a_ratio_may_count_columns_that_are_not_known(fields: Any, said: Any) -> None:
    found = diff("different", {"diff_rows_count": 50, "match_ratio": 0.999}, **fields)
    assert of(found, said, min_match_ratio=0.5).outcome is Outcome.PASSES


# Samples.

SAMPLED = {"sampled": True}
ASKED = {"sampled": None}
NO_COUNTS = (
    "only a sample was compared, which says nothing about how many rows of the tables differ: use "
    "min_match_ratio as the only limit, or do not sample"
)
FIELDS: list[dict[str, Any]] = [
    {"sampling_ratio": 0.05},
    {"sampling_max_rows": 500},
    {"sampling_tolerance": 0.001},
    {"sampling_confidence": 99},
]


def samples() -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """How a sample is known: by the figures, by what was asked for, or by what was sent."""
    by_diff: list[Any] = [(ASKED, fields, {}) for fields in FIELDS]
    by_body: list[Any] = [(ASKED, {}, fields) for fields in FIELDS]
    return [(SAMPLED, {}, {}), *by_diff, *by_body]


@pytest.mark.parametrize(("stats", "fields", "sent"), samples(), ids=repr)
def test_a_sample_has_no_counts(stats: Any, fields: Any, sent: Any) -> None:
    different = diff("different", {"diff_rows_count": 32, **stats}, **fields)
    for found, limits in (
        (different, Limits(max_rows_different=50)),
        (different, Limits(max_rows_removed=0, min_match_ratio=0.5)),
        # Those that are not given are 0.
        (different, Limits(allow_schema_changes=True)),
        (diff("identical", stats, **fields), Limits(max_rows_different=50)),
    ):
        assert judge(found, limits, sent=sent) == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)


@pytest.mark.parametrize(
    ("stats", "fields"),
    [
        ({"sampled": False}, {"sampling_ratio": 0.05}),
        ({"sampled": None}, {"sampling_threshold": 5}),
    ],
    ids=repr,
)
def test_what_was_not_sampled(stats: Any, fields: Any) -> None:
    assert of(diff("identical", stats, **fields), EQUAL_RESULTS).reason == "identical"
    assert of(diff("different", {**GROWN, **stats}, **fields), **GENEROUS).outcome is Outcome.PASSES


def test_an_estimate_gives_a_sample_away() -> None:
    column = {"column_name": "a", "values_different_estimate": {"value": 5}}
    values = {"total_rows": 32, "columns_diff_stats": [column]}
    verdict = of(diff("different", GROWN), {"values": values}, **GENEROUS)
    assert verdict == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)
    found, said = diff("identical", {"sampled": None}), {**EQUAL_RESULTS, "values": values}
    assert of(found, said).reason == "identical, in a sample of 32 rows"
    assert of(found, said, max_rows_added=0) == Verdict(Outcome.NOT_COMPARED, NO_COUNTS)


EQUAL_SAMPLE: dict[str, Any] = {**EQUAL_RESULTS, "values": {"total_rows": 32}}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (32, "identical, in a sample of 32 rows"),
        (1, "identical, in a sample of 1 row"),
        (0, "only a sample was compared, and it holds no rows"),
        (None, "only a sample was compared, and Datafold does not say of how many rows"),
    ],
)
@pytest.mark.parametrize(("stats", "fields", "sent"), samples(), ids=repr)
def test_a_sample_passes_if_it_holds_rows(
    rows: int | None, reason: str, stats: Any, fields: Any, sent: Any
) -> None:
    found = diff("identical", stats, **fields)
    assert judge(found, Limits(), sent=sent).outcome is Outcome.UNCONFIRMED
    said = results(**EQUAL_SAMPLE | {"values": {"total_rows": rows}})
    verdict = judge(found, Limits(), sent=sent, results=said)
    assert verdict == Verdict(Outcome.PASSES if rows else Outcome.NOT_COMPARED, reason)


def test_rows_that_were_compared_have_values() -> None:
    said = {**EQUAL_SAMPLE, "values": {"total_rows": 32, "total_values": 0}}
    found = diff("identical", SAMPLED)
    assert contradiction(of(found, said)) == "rows compared 32, but values compared 0"
    keys_only = {**EQUAL_SAMPLE, "values": {**said["values"], "compared_columns": 0}}
    assert of(found, keys_only).outcome is Outcome.PASSES


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"values": {"rows_with_differences": 3}}, "rows different in the results 3"),
        ({"values": {"values_with_differences": 3}}, "values different 3"),
        ({"pks": {"exclusives": [0, 1]}}, "rows added in the results 1"),
    ],
    ids=repr,
)
def test_the_results_of_an_identical_sample_have_to_agree(said: Any, words: str) -> None:
    found = diff("identical", SAMPLED)
    verdict = of(found, {**EQUAL_SAMPLE, **said})
    assert contradiction(verdict) == f"the result is 'identical', but {words}"


def test_a_sample_with_a_ratio() -> None:
    limit = {"min_match_ratio": 0.9}
    found = diff("different", {"match_ratio": 0.95, "diff_rows_count": 900, **SAMPLED})
    within = "within the limits: match ratio 0.95 (at least 0.9), schema unchanged"
    verdict = of(found, EQUAL_SAMPLE, **limit)
    assert verdict == Verdict(Outcome.PASSES, f"{within}, in a sample of 32 rows")
    empty = of(found, {**EQUAL_SAMPLE, "values": {"total_rows": 0}}, **limit)
    assert empty.outcome is Outcome.NOT_COMPARED
    # The tables' counts are those of the whole tables, of which the sample may miss the difference.
    grown = diff("identical", {"table_b_row_count": 101, **SAMPLED})
    assert of(grown, EQUAL_SAMPLE, **limit).outcome is Outcome.PASSES
    assert "rows on the second side 101" in contradiction(of(grown, EQUAL_SAMPLE))


def test_a_sample_that_differs_is_said_to_be_one() -> None:
    said = of(diff("different", {"rows_added": 3, **SAMPLED}))
    assert said.outcome is Outcome.DIFFERS
    assert said.reason.endswith(", match ratio 1 (only a sample was compared)")
    said = of(diff("different", {"match_ratio": 0.5, **SAMPLED}), min_match_ratio=0.9)
    assert said.reason == "match ratio 0.5 (at least 0.9) (only a sample was compared)"
