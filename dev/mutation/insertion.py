"""Replace code with a mutant, only in this process."""

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
    """The function of a mutant cannot be changed in place."""


class Functions:
    """The functions of this process that a mutant can replace.

    :param folder: the folder of their modules.
    """

    def __init__(self, folder: Path) -> None:
        self._found: dict[tuple[str, str, int], list[types.FunctionType]] = defaultdict(list)
        for found in gc.get_objects():
            # Not isinstance(), which would make lazy objects load.
            if type(found) is types.FunctionType and folder in Path(_place(found)[0]).parents:
                self._found[_place(found)].append(found)

    def change(self, mutant: Mutant) -> None:
        """Change the function of a mutant in place, for all modules that have imported it.

        :param mutant: the mutant.
        :raises NotPossibleError: there is no such function, or it cannot be changed.
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
        # Inner functions that it has already created must change, too.
        for code in [code for each in outer for code in (each, *_codes(each))]:
            for found in self._found.get((path, code.co_name, code.co_firstlineno), ()):
                try:
                    found.__code__ = code
                except ValueError as error:
                    # It would need other variables of its outer functions.
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
    """Forget imported packages, so that they are imported again.

    :param packages: their names.
    :param but: a module to keep, with its submodules and parents.
    """
    for name in list(sys.modules):
        is_kept = f"{name}.".startswith(f"{but}.") or but.startswith(f"{name}.")
        if name.partition(".")[0] in packages and not is_kept:
            del sys.modules[name]


class MutantFinder(MetaPathFinder):
    """Loads a mutant when its module is imported.

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
