"""What was produced, record by record, with the offsets that the broker gave: the truth that tables are compared with.

A Parquet file, one row for each record. `kind` is `record`, `tombstone`, `poison` (`reason` says what is wrong with it)
or `aborted` (it belongs to a transaction that was aborted, so that no reader may ever see it).
"""

import pyarrow as pa
import pyarrow.parquet as pq

HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
SCHEMA = pa.schema([
    ("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()),
    ("timestamp", pa.int64()),  # milliseconds since the Unix epoch
    ("key", pa.binary()), ("value", pa.binary()), ("headers", HEADERS),
    ("kind", pa.string()), ("reason", pa.string()),
])


class Produced:
    """Collects records as they are acknowledged; anything but an acknowledgement ends the program."""

    def __init__(self):
        self.rows = []

    def callback(self, kind, reason=None, stored=None, headers=None):
        """A delivery callback for one record of this kind. `stored` is what the table should hold where that is
        something else than the value; `headers` are those that were sent, which a delivery report does not have."""

        def delivered(error, message):
            if error is not None:
                raise SystemExit(f"not produced: {error}")
            pairs = message.headers() if headers is None else headers
            self.rows.append((
                message.topic(), message.partition(), message.offset(), message.timestamp()[1], message.key(),
                message.value() if stored is None else stored,
                [{"key": key, "value": value.encode() if isinstance(value, str) else value} for key, value in pairs or []],
                kind, reason,
            ))

        return delivered

    def write(self, path):
        columns = list(zip(*self.rows)) or [()] * len(SCHEMA)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, compression="zstd")

    def summary(self):
        """Counts by kind, and by topic partition the first offset and the one after the last."""
        kinds, partitions = {}, {}
        for topic, partition, offset, *_, kind, _reason in self.rows:
            kinds[kind] = kinds.get(kind, 0) + 1
            first, last = partitions.get(f"{topic}/{partition}", (offset, offset))
            partitions[f"{topic}/{partition}"] = (min(first, offset), max(last, offset))
        ends = {name: {"start": first, "end": last + 1} for name, (first, last) in sorted(partitions.items())}
        return {"kinds": kinds, "partitions": ends}
