"""A module of the package with one mistake in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dev.mutation.operators import mistakes

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | None
_Place = tuple[ast.AST, str, int | None]
_GENERIC = (
    *("Callable", "Generator", "Generic", "Iterable", "Iterator", "Literal", "Mapping", "Sequence"),
    *("dict", "list", "tuple", "type"),
)


@dataclass(frozen=True)
class Mutant:
    """A mistake, and its place.

    :param file: the module's file, relative to the root of the project.
    :param number: the mutant's number in the file, from 1.
    :param function: the outermost function whose body contains it, ``None`` if there is none.
    """

    file: Path
    number: int
    lines: range
    function: _Function
    before: str
    after: str
    _tree: ast.Module = field(repr=False)
    _place: _Place = field(repr=False)
    _mistake: ast.AST = field(repr=False)

    @property
    def module(self) -> str:
        """The name to import it by."""
        parts = self.file.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def __str__(self) -> str:
        return f"{self.file}:{self.lines.start} #{self.number}: {self.before}  ->  {self.after}"

    def tree(self) -> ast.Module:
        """Make the mistake and return the module. It cannot be undone in this process."""
        parent, name, index = self._place
        if index is None:
            setattr(parent, name, self._mistake)
        else:
            getattr(parent, name)[index] = self._mistake
        return ast.fix_missing_locations(self._tree)


def find(file: Path) -> Iterator[Mutant]:
    """Find the mutants of a module, in the order of the code.

    :param file: its file, relative to the current directory.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"), file)
    number = 0
    for node, place, function in _walk(tree, None):
        for mistake in mistakes(node):
            number += 1
            lines = _lines(node, place[0])
            before, after = _text(node), _text(mistake)
            yield Mutant(file, number, lines, function, before, after, tree, place, mistake)


def _walk(parent: ast.AST, function: _Function) -> Iterator[tuple[ast.AST, _Place, _Function]]:
    for name, value in ast.iter_fields(parent):
        inner = function
        if function is None and name == "body" and isinstance(parent, _FUNCTIONS):
            inner = parent
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(node, ast.AST) and not _is_left_out(node, parent, name):
                if not (isinstance(node, ast.Constant) and _is_text(node, parent)):
                    yield node, (parent, name, index if isinstance(value, list) else None), inner
                yield from _walk(node, inner)


def _is_left_out(node: ast.AST, parent: ast.AST, name: str) -> bool:
    """Return whether a mistake in a piece of code could have no effect that a test should find."""
    return (
        # Only type checkers and editors read these.
        name in ("annotation", "returns")
        or isinstance(node, ast.Assert)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (isinstance(node, ast.Assign) and _is_type(node.value))
        or (isinstance(parent, ast.Subscript) and name == "slice" and _is_type(parent))
        # It only keeps a mistake from being made.
        or (name == "decorator_list" and ast.unparse(node) == "dataclass(frozen=True)")
        # A name for debuggers.
        or (name == "args" and ast.unparse(parent).startswith(("ContextVar(", "RunVar(")))
        # A docstring.
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        # Only subclasses implement this.
        or (isinstance(node, ast.Raise) and ast.unparse(node) == "raise NotImplementedError")
        # Targets of assignments.
        or isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
    )


def _is_type(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "TypeVar"
    if not isinstance(node, ast.Subscript):
        return False
    return ast.unparse(node.value).rpartition(".")[2] in _GENERIC


def _is_text(node: ast.Constant, parent: ast.AST) -> bool:
    """Return whether a constant is wording: it has words, or is part of a string that has."""
    parts = parent.values if isinstance(parent, ast.JoinedStr) else [node]
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    return any(isinstance(text, str) and any(map(str.isspace, text)) for text in texts)


def _lines(node: ast.AST, parent: ast.AST) -> range:
    # A compound statement counts with its condition. A comprehension has no position of its own.
    shown = node.test if isinstance(node, (ast.If, ast.While)) else node
    placed = shown if hasattr(shown, "lineno") else parent
    return range(placed.lineno, placed.end_lineno + 1)  # type: ignore[attr-defined]


def _text(node: ast.AST) -> str:
    if isinstance(node, (ast.If, ast.While)):
        return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())
