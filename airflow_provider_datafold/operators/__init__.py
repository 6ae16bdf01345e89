"""Operators: calls to Datafold's API as tasks of a DAG."""
