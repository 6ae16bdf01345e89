"""Make small mistakes in the package, one at a time, and check whether a test fails.

:mod:`mutation.operators` has the mistakes, :mod:`mutation.mutant` is a module with one of them,
:mod:`mutation.measurement` knows which test runs which line and how long it takes,
:mod:`mutation.choice` chooses the tests for a mutant, :mod:`mutation.process` runs them in their
own process, and :mod:`mutation.insertion` puts the mutant into that process. :mod:`mutation.run`
uses all of these, and :mod:`mutation.score` counts, and knows what needs no try.
``python -m dev.mutation`` takes more than an hour.

These are not mutated, because no test should fail for them:

- wording: a string with white space in it, and the parts of an f-string that has such a part;
- docstrings, type annotations, type variables, aliases of types, code under ``if TYPE_CHECKING``,
  and ``assert`` (for mypy);
- names of context variables, which only a debugger shows;
- ``frozen`` of data classes, which only keeps a mistake from being made;
- the generated ``redaction/names.py``;
- ``raise NotImplementedError`` in a method that only subclasses implement.

A mutant is tested for up to :data:`mutation.choice.MOST_SECONDS`. So the score is a lower limit.
Tests that run other programs, or are not about the package, are not used.

mutmut 3.8.1 was tried instead. It works here with ``process_isolation = "forkserver"``, a plugin
that enables logging again, and without 31 of the tests, and it makes 15,481 mutants. It was not
taken, for two reasons:

- It misses mistakes inside functions. It leaves out each function with a decorator: all properties,
  context managers, and what :func:`redaction.frames.concealed` wraps. It does not return nothing,
  skip a statement, swallow a ``raise``, negate a condition that is a name or a call, or drop an
  element of a list. Of the 121 gaps inside functions that this tool found in five modules, with
  the tests next to them, 26 are such mistakes.
- It runs all tests that reach the function for each mutant that survives, 468 on average, which
  take 34 s on a busy machine. If only a tenth survived, a run would take more than four hours on
  two cores.

It also makes mistakes that this tool does not: it passes ``None`` for an argument before the last,
and changes the case of strings and the default of an argument.
"""
