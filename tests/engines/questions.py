"""What engines are asked beside all rows: how many there are under a filter, for each kind of filter and each column.

The answers are counted from the rows that were sent. Most filters can be decided from partitions or bounds alone for
most of the files: an engine that prunes what it should not counts too few.
"""

import datetime
import decimal
import uuid
from dataclasses import dataclass

import canonical

COMPARED = {"int", "long", "float", "double", "decimal", "string", "date", "time", "timestamp", "timestamptz"}
# Values that no row has, within the bounds of files that have others.
ABSENT = {
    "int": 7_777_777, "long": 7_777_777_777, "float": 0.625, "double": 0.625, "decimal": decimal.Decimal("77777.77"),
    "string": "Zürich, Überlandstraße 15", "fixed": b"\x07\x07\x07", "binary": b"\x07" * 18, "uuid": uuid.UUID(int=7),
    "date": datetime.date(2026, 7, 7), "time": datetime.time(7, 7, 7, 7),
    "timestamp": datetime.datetime(2026, 7, 7, 7, 7, 7, 7),
    "timestamptz": datetime.datetime(2026, 7, 7, 7, 7, 7, 7, datetime.UTC),
}

PREFIXES = ["Zürich, Überlandstraße 1", "Kafka → 🧊🧊🧊🧊🧊🧊🧊🧊", "\U0010ffff" * 17]


@dataclass(frozen=True)
class Condition:
    """One comparison of a column with values: `=`, `in`, `between` (the second not included), `starts with`, `is null`,
    `is not null`."""

    column: str
    type: object
    kind: str
    values: tuple = ()

    def holds(self, row):
        value = member(row, self.column)
        match self.kind:
            case "is null":
                return value is None
            case "is not null":
                return value is not None
        if value is None:
            return False
        match self.kind:
            case "=" | "in":
                return value in self.values
            case "between":
                low, high = self.values
                return low <= value < high
            case "starts with":
                return value.startswith(self.values[0])
        raise ValueError(self.kind)

    def told(self):
        """As JSON, with values in their canonical form."""
        values = [canonical.value(self.type, value) for value in self.values]
        return {"column": self.column, "type": self.type, "kind": self.kind, "values": values}


def member(row, column):
    for name in column.split("."):
        row = None if row is None else row[name]
    return row


def questions(columns, rows):
    """Questions about a table of these columns and rows: conditions that have to hold together."""
    asked = [[each] for name, ty in columns.items() for each in of_column(name, ty, rows)]
    asked += [[each] for each in of_column("place.city", "string", rows)]
    asked += [[each] for each in of_column("place.spot.lat", "double", rows)]

    def at(column, *values, kind="between"):
        return Condition(column, columns[column], kind, values)

    def day(*parts):
        return datetime.datetime(*parts, tzinfo=datetime.UTC)

    second_of_january = at("at", day(2026, 1, 2), day(2026, 1, 3))
    december = at("at", day(2025, 12, 1), day(2026, 1, 1))
    a_uid = next(row["uid"] for row in reversed(rows) if row["uid"] is not None)
    asked += [
        [second_of_january], [december],
        [at("at", day(1969, 12, 31), day(1970, 1, 1))], [at("at", day(1900, 1, 1), day(1969, 12, 31))],
        [at("at", day(2026, 1, 2), day(2026, 1, 2, 6))],
        [second_of_january, at("region", "us", kind="=")],
        [december, at("uid", a_uid, kind="=")],
        [at("name", "Zür", kind="starts with"), at("region", kind="is null")],
        [at("name", "Zürich, Überlandstraße", kind="starts with"), at("at", day(1900, 1, 1), day(2026, 1, 3))],
        [at("id", 2_000_000, 2_000_010), at("small", kind="is not null")],
        [at("region", "", "a/b=c&d ü%20", kind="in"), at("name", "", kind="=")],
    ]
    return asked


def of_column(name, ty, rows):
    kind = ty[0] if isinstance(ty, tuple) else ty
    yield Condition(name, ty, "is null")
    if kind in ("struct", "list", "map"):
        return
    values = [value for value in (member(row, name) for row in rows) if value is not None and value == value]
    if kind == "boolean":
        yield Condition(name, ty, "=", (True,))
        yield Condition(name, ty, "=", (False,))
        return
    some = values[len(values) // 3], values[2 * len(values) // 3]
    yield Condition(name, ty, "=", (some[0],))
    yield Condition(name, ty, "in", (*dict.fromkeys(some), ABSENT[kind]))
    if kind in COMPARED:
        ordered = sorted(values)
        for low, high in ((0, len(ordered) // 4), (len(ordered) // 2, -1)):
            yield Condition(name, ty, "between", (ordered[low], ordered[high]))
    if kind in ("float", "double"):
        yield Condition(name, ty, "=", (0.0,))
        yield Condition(name, ty, "=", (-0.0,))
    if kind == "string":
        for prefix in PREFIXES:
            yield Condition(name, ty, "starts with", (prefix,))


def text(asked):
    """For people."""
    return " and ".join(
        " ".join([each.column, each.kind, *map(str, each.told()["values"])]) for each in asked
    )
