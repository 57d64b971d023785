"""PyIceberg through the REST catalog. It has no SQL: filters are expressions."""

from functools import reduce

from pyiceberg.expressions import (
    And, EqualTo, GreaterThanOrEqual, In, IsNull, LessThan, NotNull, StartsWith, literal,
)
from service import rest_catalog


class Engine:
    def __init__(self, lake):
        self.table = rest_catalog(lake.store, lake.uri).load_table(lake.table)

    def rows(self):
        return self.table.scan().to_arrow().to_pylist()

    def count(self, conditions):
        return self.table.scan(row_filter=reduce(And, map(expression, conditions))).count()

    def close(self):
        pass


def expression(asked):
    column, values = asked["column"], [converted(asked["type"], value) for value in asked["values"]]
    match asked["kind"]:
        case "is null":
            return IsNull(column)
        case "is not null":
            return NotNull(column)
        case "=":
            return EqualTo(column, values[0])
        case "in":
            return In(column, values)
        case "between":
            return And(GreaterThanOrEqual(column, values[0]), LessThan(column, values[1]))
        case "starts with":
            return StartsWith(column, values[0])
    raise ValueError(asked["kind"])


def converted(ty, value):
    """Text is what PyIceberg converts to the column's type by itself, but for bytes and numbers."""
    match ty[0] if isinstance(ty, list) else ty:
        case "binary" | "fixed":
            return literal(bytes.fromhex(value))
        case "float" | "double":
            return literal(float(value))
        case "timestamptz":
            return literal(value.removesuffix("Z") + "+00:00")
    return literal(value)
