"""Puts a mutant in the place of the code that it was made from, in this process alone."""

from __future__ import annotations

import gc
import importlib.util
import sys
import types
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

from dev.mutation.mutant import Mutant


class NotPossibleError(Exception):
    """The function of a mutant can't be changed where it is."""


class Functions:
    """The functions of this process, which a mutant can be put into.

    :param folder: the folder of the modules that count.
    """

    def __init__(self, folder: Path) -> None:
        self._found: dict[tuple[str, str, int], list[types.FunctionType]] = defaultdict(list)
        for found in gc.get_objects():
            # Not isinstance(): that would have lazy objects load what they stand for.
            if type(found) is types.FunctionType and folder in Path(_place(found)[0]).parents:
                self._found[_place(found)].append(found)

    def change(self, mutant: Mutant) -> None:
        """Change the function that a mutant is in, wherever it has been imported to.

        :param mutant: the mutant.
        :raises NotPossibleError: there is no such function, or it can't be changed.
        """
        function = mutant.function
        assert function is not None  # noqa: S101 - for mypy
        path = str(mutant.file.resolve())
        first = min(node.lineno for node in (function, *function.decorator_list))
        outer = [
            code
            for code in _codes(compile(mutant.tree(), path, "exec"))
            if (code.co_name, code.co_firstlineno) == (function.name, first)
        ]
        if not self._found.get((path, function.name, first)):
            raise NotPossibleError
        # The functions that it has made are there already.
        for code in [code for each in outer for code in (each, *_codes(each))]:
            for found in self._found.get((path, code.co_name, code.co_firstlineno), ()):
                try:
                    found.__code__ = code
                except ValueError as error:
                    # It would need other variables of the functions around it.
                    raise NotPossibleError from error


def _place(function: types.FunctionType) -> tuple[str, str, int]:
    code = function.__code__
    return code.co_filename, code.co_name, code.co_firstlineno


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def forget(packages: Sequence[str], but: str) -> None:
    """Have packages imported anew.

    :param packages: their names.
    :param but: the one of their modules, with all that it holds, that stays.
    """
    for name in list(sys.modules):
        is_kept = f"{name}.".startswith(f"{but}.") or but.startswith(f"{name}.")
        if name.partition(".")[0] in packages and not is_kept:
            del sys.modules[name]


class MutantFinder(MetaPathFinder):
    """Finds a mutant where its module is imported.

    :param mutant: the mutant.
    """

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module."""
        if name != self._mutant.module:
            return None
        file = str(self._mutant.file.resolve())
        return importlib.util.spec_from_file_location(
            name, file, loader=_Loader(name, file, self._mutant)
        )


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> types.CodeType:
        code: types.CodeType = compile(self._mutant.tree(), self.path, "exec")
        return code
