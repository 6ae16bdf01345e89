"""A stand-in for Datafold's API on loopback, for the demo, the tests and the benchmarks.

It serves every operation of Datafold's published contract. The contract determines which requests
it accepts and how it refuses others, and its responses where it documents them. The sandbox reads
the contract independently and knows nothing of the provider, so that one mistake cannot be in both.

Jobs follow a course that a test can set, such as ``state.data_diffs.courses``, and compare nothing.
Only a data diff of two data sources with a database behind them really compares, and only with one
does a query really run::

    sandbox.state.data_sources.connect(1, "warehouse.duckdb")
"""

from dev.sandbox.server import Sandbox

__all__ = ["Sandbox"]
