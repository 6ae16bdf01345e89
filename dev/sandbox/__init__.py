"""A stand-in for Datafold's API on loopback, for the demo, the tests and the benchmarks.

It serves every operation of Datafold's published contract: what it takes, and how it refuses,
follows the contract, and so do its answers where the contract says what they look like. It reads
the contract by itself and knows nothing of the provider, so that one mistake can't hide on both
sides.

Jobs follow a course that a test can set, such as ``state.data_diffs.courses``, and compare nothing.
Only a data diff of two data sources with a database behind them really compares::

    sandbox.state.data_sources.connect(1, "warehouse.duckdb")
"""

from dev.sandbox.server import Sandbox

__all__ = ["Sandbox"]
