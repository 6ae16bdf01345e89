"""Replace code with a mutant, only in this process."""

from __future__ import annotations

import gc
import sys
import types
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from dev.mutation.mutant import Mutant

_Place = tuple[str, str, int]


class Functions:
    """The functions of this process, of the modules in a folder, that a mutant can replace."""

    def __init__(self, folder: Path) -> None:
        self._found: dict[_Place, list[types.FunctionType]] = defaultdict(list)
        for found in gc.get_objects():
            # Not isinstance(), which would make lazy objects load.
            if type(found) is types.FunctionType:
                place = _place(found.__code__)
                if folder in Path(place[0]).parents:
                    self._found[place].append(found)

    def change(self, mutant: Mutant) -> bool:
        """Change the function of a mutant in place, for all modules that have imported it.

        :return: whether there is such a function that can be changed.
        """
        function = mutant.function
        assert function is not None  # noqa: S101 - for mypy
        path = str(mutant.file.resolve())
        first = min(node.lineno for node in (function, *function.decorator_list))
        place = (path, function.name, first)
        codes = _codes(compile(mutant.tree(), path, "exec"))
        outer = [code for code in codes if _place(code) == place]
        # Inner functions that it has already created must change, too.
        for code in [code for each in outer for code in (each, *_codes(each))]:
            for found in self._found.get(_place(code), ()):
                try:
                    found.__code__ = code
                except ValueError:
                    # It would need other variables of its outer functions.
                    return False
        return place in self._found


def _place(code: types.CodeType) -> _Place:
    return code.co_filename, code.co_name, code.co_firstlineno


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def forget(packages: Sequence[str], but: str) -> None:
    """Forget imported packages, but a module with its submodules and parents."""
    for name in list(sys.modules):
        is_kept = f"{name}.".startswith(f"{but}.") or but.startswith(f"{name}.")
        if name.partition(".")[0] in packages and not is_kept:
            del sys.modules[name]


def load_from_now_on(mutant: Mutant) -> None:
    """Load a mutant when its module is imported."""
    read = SourceFileLoader.get_code

    def get_code(loader: Any, name: str) -> Any:
        if name == mutant.module:
            return compile(mutant.tree(), loader.path, "exec")
        return read(loader, name)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
