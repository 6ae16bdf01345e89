"""The mutations of a piece of code: small mistakes that a programmer could make."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
} | {
    operator: other
    for pair in (
        (ast.Add, ast.Sub),
        (ast.Mult, ast.Div),
        (ast.BitAnd, ast.BitOr),
        (ast.And, ast.Or),
        (ast.Lt, ast.LtE),
        (ast.Gt, ast.GtE),
        (ast.Eq, ast.NotEq),
        (ast.Is, ast.IsNot),
        (ast.In, ast.NotIn),
    )
    for operator, other in (pair, pair[::-1])
}

_TWINS = {
    name: other
    for pair in (
        ("all", "any"),
        ("lower", "upper"),
        ("lstrip", "rstrip"),
        ("max", "min"),
        ("partition", "rpartition"),
        ("removeprefix", "removesuffix"),
        ("startswith", "endswith"),
    )
    for name, other in (pair, pair[::-1])
}
"""Functions that are easily confused."""


def mistakes(node: ast.AST) -> Iterable[ast.AST]:
    """Return the nodes that could replace a piece of code by mistake."""
    maker = _MAKERS.get(type(node))
    return maker(node) if maker else ()


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    kept = {name: getattr(node, name) for name in (*node._fields, *node._attributes)}
    return type(node)(**(kept | fields))


def _without_one(node: ast.AST, name: str, places: Iterable[int]) -> Iterable[ast.AST]:
    items = getattr(node, name)
    for place in places:
        yield _changed(node, **{name: items[:place] + items[place + 1 :]})


def _none(node: ast.expr) -> ast.Constant:
    return ast.copy_location(ast.Constant(None), node)


def _nothing(node: ast.AST) -> Iterable[ast.AST]:
    yield ast.copy_location(ast.Pass(), node)


def _compare(node: ast.Compare) -> Iterable[ast.AST]:
    for place, operator in enumerate(node.ops):
        ops = [*node.ops]
        ops[place] = _OPERATORS[type(operator)]()  # type: ignore[call-overload]
        yield _changed(node, ops=ops)


def _operation(node: ast.BinOp | ast.BoolOp) -> Iterable[ast.AST]:
    if other := _OPERATORS.get(type(node.op)):
        yield _changed(node, op=other())


def _constant(node: ast.Constant) -> Iterable[ast.AST]:
    match node.value:
        case bool():
            yield _changed(node, value=not node.value)
        case int() | float():
            yield _changed(node, value=node.value + 1)
        case str():
            yield _changed(node, value=f"{node.value}X")
        case bytes():
            yield _changed(node, value=node.value + b"X")


def _call(node: ast.Call) -> Iterable[ast.AST]:
    # Only the last: without an earlier argument, the next one would take its place.
    yield from _without_one(node, "args", range(len(node.args))[-1:])
    yield from _without_one(node, "keywords", range(len(node.keywords)))
    called = node.func
    name = "id" if isinstance(called, ast.Name) else "attr"
    if twin := _TWINS.get(getattr(called, name, "")):
        yield _changed(node, func=_changed(called, **{name: twin}))


def _display(node: ast.List | ast.Set | ast.Tuple) -> Iterable[ast.AST]:
    # Constants have their own mistakes. An empty set display would be a dictionary.
    if not (isinstance(node, ast.Set) and len(node.elts) == 1):
        places = [at for at, item in enumerate(node.elts) if not isinstance(item, ast.Constant)]
        yield from _without_one(node, "elts", places)


def _dictionary(node: ast.Dict) -> Iterable[ast.AST]:
    for place, key in enumerate(node.keys):
        if not isinstance(key, ast.Constant):
            pairs = [
                pair
                for at, pair in enumerate(zip(node.keys, node.values, strict=True))
                if at != place
            ]
            yield _changed(node, keys=[key for key, _ in pairs], values=[item for _, item in pairs])


def _condition(node: ast.If | ast.While) -> Iterable[ast.AST]:
    # Comparisons and the like have their own mistakes.
    if not isinstance(node.test, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)):
        negated = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        yield _changed(node, test=negated)


def _value(node: ast.Return | ast.Assign | ast.AnnAssign) -> Iterable[ast.AST]:
    # Constants have their own mistakes.
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield _changed(node, value=_none(node.value))


def _expression(node: ast.Expr) -> Iterable[ast.AST]:
    return () if isinstance(node.value, ast.Constant) else _nothing(node)


_MAKERS: dict[type[ast.AST], Callable[[Any], Iterable[ast.AST]]] = {
    ast.AnnAssign: _value,
    ast.Assign: _value,
    ast.AugAssign: _nothing,
    ast.BinOp: _operation,
    ast.BoolOp: _operation,
    ast.Break: _nothing,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.Constant: _constant,
    ast.Continue: _nothing,
    ast.Dict: _dictionary,
    ast.Expr: _expression,
    ast.If: _condition,
    ast.IfExp: lambda node: (node.body, node.orelse),
    ast.Lambda: lambda node: (_changed(node, body=_none(node.body)),),
    ast.List: _display,
    ast.Raise: _nothing,
    ast.Return: _value,
    ast.Set: _display,
    ast.Tuple: _display,
    ast.UnaryOp: lambda node: (node.operand,),
    ast.While: _condition,
    ast.comprehension: lambda node: _without_one(node, "ifs", range(len(node.ifs))),
}
