"""The mutations of a piece of code: small mistakes that a programmer could make."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
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


def mistakes(node: ast.AST) -> Iterator[ast.AST]:
    """Return the mistakes for a piece of code.

    :param node: an expression, a statement or a part of one.
    :return: the nodes that could replace it.
    """
    maker = _MAKERS.get(type(node))
    if maker is not None:
        yield from maker(node)


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    kept = {name: getattr(node, name) for name in (*node._fields, *node._attributes)}
    return type(node)(**(kept | fields))


def _without(items: list[ast.AST], place: int) -> list[ast.AST]:
    return items[:place] + items[place + 1 :]


def _none(node: ast.expr) -> ast.Constant:
    return ast.copy_location(ast.Constant(None), node)


def _nothing(node: ast.AST) -> Iterator[ast.AST]:
    yield ast.copy_location(ast.Pass(), node)


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for place, operator in enumerate(node.ops):
        ops = [*node.ops]
        ops[place] = _OPERATORS[type(operator)]()  # type: ignore[call-overload]
        yield _changed(node, ops=ops)


def _operation(node: ast.BinOp | ast.BoolOp) -> Iterator[ast.AST]:
    if other := _OPERATORS.get(type(node.op)):
        yield _changed(node, op=other())


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield _changed(node, value=not value)
    elif isinstance(value, (int, float)):
        yield _changed(node, value=value + 1)
    elif isinstance(value, str):
        yield _changed(node, value=f"{value}X")
    elif isinstance(value, bytes):
        yield _changed(node, value=value + b"X")


def _call(node: ast.Call) -> Iterator[ast.AST]:
    # Only the last: without an earlier argument, the next one would take its place.
    if node.args:
        yield _changed(node, args=node.args[:-1])
    for place in range(len(node.keywords)):
        yield _changed(node, keywords=_without([*node.keywords], place))
    called = node.func
    if isinstance(called, ast.Name) and called.id in _TWINS:
        yield _changed(node, func=_changed(called, id=_TWINS[called.id]))
    elif isinstance(called, ast.Attribute) and called.attr in _TWINS:
        yield _changed(node, func=_changed(called, attr=_TWINS[called.attr]))


def _display(node: ast.List | ast.Set | ast.Tuple) -> Iterator[ast.AST]:
    for place, element in enumerate(node.elts):
        # Constants have their own mistakes. An empty set display would be a dictionary.
        if not isinstance(element, ast.Constant) and not _is_alone(node):
            yield _changed(node, elts=_without([*node.elts], place))


def _dictionary(node: ast.Dict) -> Iterator[ast.AST]:
    for place, key in enumerate(node.keys):
        if not isinstance(key, ast.Constant):
            keys = node.keys[:place] + node.keys[place + 1 :]
            yield _changed(node, keys=keys, values=_without([*node.values], place))


def _negation(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _choice(node: ast.IfExp) -> Iterator[ast.AST]:
    yield node.body
    yield node.orelse


def _condition(node: ast.If | ast.While) -> Iterator[ast.AST]:
    # Comparisons and the like have their own mistakes.
    if not isinstance(node.test, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)):
        negated = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        yield _changed(node, test=negated)


def _comprehension(node: ast.comprehension) -> Iterator[ast.AST]:
    for place in range(len(node.ifs)):
        yield _changed(node, ifs=_without([*node.ifs], place))


def _lambda(node: ast.Lambda) -> Iterator[ast.AST]:
    yield _changed(node, body=_none(node.body))


def _value(node: ast.Return | ast.Assign | ast.AnnAssign) -> Iterator[ast.AST]:
    # Constants have their own mistakes.
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield _changed(node, value=_none(node.value))


def _expression(node: ast.Expr) -> Iterator[ast.AST]:
    if not isinstance(node.value, ast.Constant):
        yield from _nothing(node)


def _is_alone(node: ast.List | ast.Set | ast.Tuple) -> bool:
    return isinstance(node, ast.Set) and len(node.elts) == 1


_MAKERS: dict[type[ast.AST], Callable[[Any], Iterator[ast.AST]]] = {
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
    ast.IfExp: _choice,
    ast.Lambda: _lambda,
    ast.List: _display,
    ast.Raise: _nothing,
    ast.Return: _value,
    ast.Set: _display,
    ast.Tuple: _display,
    ast.UnaryOp: _negation,
    ast.While: _condition,
    ast.comprehension: _comprehension,
}
