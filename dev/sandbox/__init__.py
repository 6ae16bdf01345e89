"""A stand-in for Datafold's API on loopback, for the demo, the tests and the benchmarks.

It serves every operation of Datafold's published contract: what it takes, and how it refuses,
follows the contract, and so do its answers where the contract says what they look like. It reads
the contract by itself and knows nothing of the provider, so that one mistake can't hide on both
sides.
"""

from dev.sandbox.server import Sandbox

__all__ = ["Sandbox"]
