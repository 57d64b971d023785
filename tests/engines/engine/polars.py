"""Polars, scanning the table that PyIceberg has loaded. Filters are expressions, which it pushes down where it can."""

import datetime
import decimal
from functools import reduce
from operator import and_

import polars as pl

from service import rest_catalog


class Engine:
    def __init__(self, lake):
        self.table = rest_catalog(lake.store, lake.uri).load_table(lake.table)

    def scan(self):
        return pl.scan_iceberg(self.table)

    def rows(self):
        return self.scan().collect().to_dicts()

    def count(self, conditions):
        return self.scan().filter(reduce(and_, map(expression, conditions))).select(pl.len()).collect().item()

    def close(self):
        pass


def expression(asked):
    first, *inner = asked["column"].split(".")
    column = reduce(lambda outer, name: outer.struct.field(name), inner, pl.col(first))
    values = [converted(asked["type"], value) for value in asked["values"]]
    match asked["kind"]:
        case "is null":
            return column.is_null()
        case "is not null":
            return column.is_not_null()
        case "=":
            return column == values[0]
        case "in":
            return column.is_in(values)
        case "between":
            return (column >= values[0]) & (column < values[1])
        case "starts with":
            return column.str.starts_with(values[0])
    raise ValueError(asked["kind"])


def converted(ty, value):
    kind = ty[0] if isinstance(ty, list) else ty
    match kind:
        case "binary" | "fixed":
            return bytes.fromhex(value)
        case "uuid":
            return bytes.fromhex(value.replace("-", ""))
        case "decimal":
            return decimal.Decimal(value)
        case "date":
            return datetime.date.fromisoformat(value)
        case "time":
            return datetime.time.fromisoformat(value)
        case "timestamp" | "timestamptz":
            return datetime.datetime.fromisoformat(value)
        case "float" | "double":
            return float(value)
    return value
