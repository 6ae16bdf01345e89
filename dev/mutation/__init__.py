"""Make one small mistake after the other in the package, and see whether a test fails.

:mod:`mutation.operators` are the mistakes, :mod:`mutation.mutant` is a module with one of them,
:mod:`mutation.measurement` knows which test runs which line and how long it takes,
:mod:`mutation.choice` chooses the tests of a mutant, :mod:`mutation.trial` runs them in a process
of its own and :mod:`mutation.insertion` puts the mutant in there. :mod:`mutation.run` does it all,
and :mod:`mutation.score` counts. ``python -m dev.mutation`` takes most of an hour.

These are no mutants, because no test is to fail for them:

- wording: a string with white space in it, and the parts of an f-string that has such a part;
- docstrings, type annotations, what stands under ``if TYPE_CHECKING`` and ``assert`` (for mypy);
- the generated ``redaction/names.py``;
- what a method does that only a subclass has, ``raise NotImplementedError``.

A mutant is tried on tests that run its line, the quick ones first, for some seconds; one that
survives them is tried again on tests for :data:`mutation.choice.MOST_SECONDS`. So the score is what
is certain. The tests that run other programs, or are not about the package, have no part in it.
"""
