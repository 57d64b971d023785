"""Stories of schemas that change: what is written to a topic in three waves, and what its table must hold then.

A wave is a list of steps, and a step a list of batches whose records are written in turns. A batch is a schema, and what
makes a record and its row of the record's offset; a row names only the columns that are not null, and is None where there
must be none. The id of every record is its offset.
"""

import dataclasses
import decimal

COUNT = 30  # records of a batch


def order(*fields):
    return {"type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "id", "type": "long"}, *fields]}


def field(name, ty, **more):
    return {"name": name, "type": ty} | more


def record(name, *fields):
    return {"type": "record", "name": name, "fields": list(fields)}


def digits(precision):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 2}


def same(written):
    return written


def nowhere(_):
    return None


def batch(schema, make, row=same):
    return schema, make, row


@dataclasses.dataclass
class Story:
    name: str
    waves: list
    # Name and type of the table's own columns in the end.
    columns: dict
    # What the ledger must say: each change with the offset of the record that asked for it.
    changes: list
    settings: str = 'on_bad_record = "dead-letter"'
    # Dead letters by reason.
    letters: dict = dataclasses.field(default_factory=dict)

    def records(self, wanted):
        """Schema, record and row of each record of a wave, by offset."""
        offset, records = 0, {}
        for wave, steps in enumerate(self.waves):
            for batches in steps:
                for _ in range(COUNT):
                    for schema, make, row in batches:
                        written = {"id": offset} | make(offset)
                        if wave == wanted:
                            records[offset] = (schema, written, row(written))
                        offset += 1
        return records


PLAIN = batch(order(), lambda n: {})
NOTE = batch(order(field("note", "string")), lambda n: {"note": f"n{n}"})
OTHER = batch(order(field("other", "double")), lambda n: {"other": n / 2})
NUMBER = batch(order(field("n", "int")), lambda n: {"n": n})
WORD = batch(order(field("n", "string")), lambda n: {"n": f"w{n}"}, nowhere)


def renamed(written):
    row = dict(written)
    row["title"] = row.pop("note", None) or row.pop("title", None)
    row["place"] = {"town": row["place"].get("city") or row["place"].get("town")}
    return row


OLDER = batch(
    order(field("note", "string"), field("place", record("Place", field("city", "string")))),
    lambda n: {"note": f"n{n}", "place": {"city": "Ghent"}},
    renamed,
)
NEWER = batch(
    order(
        field("title", "string", aliases=["note"]),
        field("place", record("Place", field("town", "string", aliases=["city"]))),
    ),
    lambda n: {"title": f"t{n}", "place": {"town": "Turku"}},
    renamed,
)


def measured(whole, fraction, precision, make):
    return batch(order(field("n", whole), field("x", fraction), field("d", digits(precision))), make)


NARROW = measured("int", "float", 9, lambda n: {"n": n, "x": n / 2, "d": decimal.Decimal(n) / 100})
WIDE = measured("long", "double", 12, lambda n: {"n": n + 2**40, "x": n + 0.1, "d": decimal.Decimal(n) + 10**9})


def nested(item, make):
    """A struct, a list of structs and a map of structs."""
    return batch(
        order(
            field("one", record("Item", *item)),
            field("many", {"type": "array", "items": "Item"}),
            field("named", {"type": "map", "values": "Item"}),
        ),
        lambda n: {"one": make(n), "many": [make(n), make(n + 1)], "named": {"k": make(n)}},
    )


SMALL = nested([field("sku", "string")], lambda n: {"sku": f"s{n}"})
LARGE = nested(
    [field("sku", "string"), field("count", ["null", "int"], default=None)],
    lambda n: {"sku": f"s{n}", "count": n if n % 2 else None},
)


def enum(*symbols):
    chosen = lambda n: {"state": symbols[n % len(symbols)]}
    return batch(order(field("state", {"type": "enum", "name": "State", "symbols": list(symbols)})), chosen)


FEW, MORE = enum("NEW", "PAID"), enum("NEW", "PAID", "SENT")
MAYBE = batch(order(field("n", ["null", "int"])), lambda n: {"n": n if n % 3 else None})

STORIES = [
    Story(
        "added",
        [[[PLAIN]], [[NOTE]], [[NOTE, PLAIN]]],
        {"id": "long", "note": "string"},
        [("add column note string", COUNT)],
    ),
    Story(
        "widened",
        [[[NARROW]], [[WIDE]], [[NARROW, WIDE]]],
        {"id": "long", "n": "long", "x": "double", "d": "decimal(12, 2)"},
        [
            ("widen column n from int to long", COUNT),
            ("widen column x from float to double", COUNT),
            ("widen column d from decimal(9, 2) to decimal(12, 2)", COUNT),
        ],
    ),
    # Between the first two waves, somebody makes the column required.
    Story(
        "made_optional",
        [[[NUMBER]], [[MAYBE]], [[NUMBER, MAYBE]]],
        {"id": "long", "n": "int"},
        [("make column n optional", COUNT)],
        'schema.evolution = ["add", "widen", "optional"]',
    ),
    Story(
        "renamed",
        [[[OLDER]], [[NEWER]], [[OLDER, NEWER]]],
        {"id": "long", "title": "string", "place": "struct<7: town: optional string>"},
        [("rename column note to title", COUNT), ("rename column place.city to town", COUNT)],
        'schema.evolution = ["add", "widen", "rename"]',
    ),
    Story(
        "nested_added",
        [[[SMALL]], [[LARGE]], [[SMALL, LARGE]]],
        None,
        [
            ("add column one.count int", COUNT),
            ("add column many.element.count int", COUNT),
            ("add column named.value.count int", COUNT),
        ],
    ),
    Story("enum_grown", [[[FEW]], [[MORE]], [[FEW, MORE]]], {"id": "long", "state": "string"}, []),
    # Nothing after the first word is a row.
    Story(
        "halted",
        [[[NUMBER]], [[WORD]], [[batch(*NUMBER[:2], nowhere)]]],
        {"id": "long", "n": "int"},
        [],
        'on_bad_record = "halt"',
    ),
    Story(
        "set_aside",
        [[[NUMBER]], [[WORD]], [[NUMBER, WORD]]],
        {"id": "long", "n": "int"},
        [],
        letters={"wrong_type": 2 * COUNT},
    ),
    # The table is made with the columns of the newest schema.
    Story(
        "interleaved",
        [[[NOTE, OTHER]], [[NOTE, OTHER]], [[OTHER, NOTE]]],
        {"id": "long", "other": "double", "note": "string"},
        [("add column note string", 0)],
    ),
    Story(
        "back_and_forth",
        [[[PLAIN]], [[NOTE], [PLAIN], [NOTE]], [[PLAIN], [OTHER], [NOTE]]],
        {"id": "long", "note": "string", "other": "double"},
        [("add column note string", COUNT), ("add column other double", 5 * COUNT)],
    ),
]
