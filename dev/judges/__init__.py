"""Judges of the sandbox that others made: libraries that read the contract, and Datafold's clients.

By hand and before a release: ``nox -s schemathesis datafold-sdk``, and ``make test-contract`` for
Prism, which sits between the hook and the sandbox (``tests/api/test_prism.py``).
"""
