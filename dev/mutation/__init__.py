"""Make small mistakes in the package, one at a time, and check whether a test fails.

:mod:`mutation.operators` has the mistakes, :mod:`mutation.mutant` is a module with one of them,
:mod:`mutation.measurement` knows which test runs which line and how long it takes,
:mod:`mutation.choice` chooses the tests for a mutant, :mod:`mutation.process` runs them in their
own process, and :mod:`mutation.insertion` puts the mutant into that process. :mod:`mutation.run`
uses all of these, :mod:`mutation.survivors` knows what needs no try, and :mod:`mutation.score`
counts. ``python -m dev.mutation`` takes more than an hour.

These are not mutated, because no test should fail for them:

- wording: a string with white space in it, and the parts of an f-string that has such a part;
- docstrings, type annotations, type variables, aliases of types, code under ``if TYPE_CHECKING``,
  and ``assert`` (for mypy);
- names of context variables, which only a debugger shows;
- ``frozen`` of data classes, which only keeps a mistake from being made;
- the generated ``redaction/names.py``;
- ``raise NotImplementedError`` in a method that only subclasses implement.

A mutant is first tested for some seconds with quick tests that run its line. If it survives, it is
tested again for up to :data:`mutation.choice.MOST_SECONDS`. So the score is a lower limit. Tests
that run other programs, or are not about the package, are not used.
"""
