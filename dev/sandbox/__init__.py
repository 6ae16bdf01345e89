"""A stand-in for Datafold's API on loopback, for the demo, the tests and the benchmarks.

What it takes, and how it refuses, follows Datafold's published contract. The contract does not
say what an answer looks like: the shapes in :mod:`sandbox.state` are this sandbox's own
assumption, and the provider relies on none of them.
"""

from dev.sandbox.server import Sandbox

__all__ = ["Sandbox"]
