"""Bids in the shape of the Nexmark benchmark, about 283 bytes of JSON, as SQL: DuckDB makes a million in seconds.

Each bid follows from (seed, partition, i), where i counts the bids of a partition from 0, by DuckDB's `hash` (whose
values are those of the DuckDB version that is pinned).
"""

import io
import json
import pathlib
import random
import string
import urllib.request

import fastavro
import protobuf_records

START = 1_767_225_600_000  # 2026-01-01, in milliseconds; a bid comes every 40 ms of event time
LENGTH = 283
HERE = pathlib.Path(__file__).resolve().parent
KINDS = {"avro": "AVRO", "protobuf": "PROTOBUF", "json-schema": "JSON"}
SCHEMAS = {"avro": HERE / "bids.avsc", "protobuf": HERE / "bids.proto", "json-schema": HERE / "bids.schema.json"}


def register(registry, topic, kind):
    """Puts the schema of bids into a registry; answers its id."""
    body = json.dumps({"schemaType": KINDS[kind], "schema": SCHEMAS[kind].read_text()}).encode()
    request = urllib.request.Request(
        f"{registry}/subjects/{topic}-value/versions", body, {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["id"]


def encoder(kind, schema_id):
    """A function from a bid in JSON to the same bid in another format, framed as a registry's serializer does it."""
    frame = b"\0" + schema_id.to_bytes(4, "big")
    match kind:
        case "avro":
            return avro(frame)
        case "protobuf":
            return protobuf(frame)
        case "json-schema":
            return lambda value: frame + value.encode()


def avro(frame):
    schema = fastavro.parse_schema(json.loads(SCHEMAS["avro"].read_text()))

    def encode(value):
        encoded = io.BytesIO()
        encoded.write(frame)
        fastavro.schemaless_writer(encoded, schema, json.loads(value))
        return encoded.getvalue()

    return encode


def protobuf(frame):
    bid = protobuf_records.message_class(".", SCHEMAS["protobuf"].name, "bench.Bid", folder=HERE)

    def encode(value):
        fields = json.loads(value)
        at = fields.pop("dateTime")
        message = bid(**fields)
        message.dateTime.FromMilliseconds(at)
        # The first message of its file.
        return frame + b"\0" + message.SerializeToString()

    return encode


def prepare(connection, seed):
    """Random text, from which bids cut theirs: made once, since making it anew for each bid would cost the most."""
    chance = random.Random(seed)
    texts = ["".join(chance.choices(string.ascii_lowercase, k=512)) for _ in range(2048)]
    connection.execute("SET VARIABLE texts = $texts", {"texts": texts})
    # Signed, so that it can be computed with: DuckDB does not mix its unsigned hashes with other numbers.
    connection.execute("CREATE TEMP MACRO draw(a, b, c, what) AS (hash(a, b, c, what) >> 1)::BIGINT")


def values(seed, partition, partitions, start, end, late=0.0):
    """A query for the columns i and value of the bids from `start` up to `end` of a partition. A fraction of them is `late`:
    by up to 48 hours."""
    at = f"{START} + n * 40"
    if late:
        at += f" - CASE WHEN a // 100 % 10000 < {late * 10_000:.0f} THEN b // 100 % 172800000 ELSE 0 END"
    return f"""
        SELECT i, head || substr(getvariable('texts')[1 + e % 2048], 1 + (e // 2048) % 250,
                                 {LENGTH} - 2 - length(head) + (e // 1048576) % 25 - 12) || '"}}' AS value
        FROM (
            SELECT i, draw({seed}, {partition}, i, 'extra') AS e,
                   '{{"auction":' || (1000 + (n // 50) + a % 100)
                   || ',"bidder":' || (1000 + b % (51 + (n // 50)))
                   || ',"price":' || floor(pow(10, p % 1000000 / 1000000 * 6) * 100)::BIGINT
                   || ',"channel":"' || CASE WHEN hot THEN ['Google', 'Facebook', 'Baidu', 'Apple'][1 + c % 4]
                                             ELSE 'channel-' || c END
                   || '","url":"https://www.nexmark.com/' || substr(t, 1, 5) || '/' || substr(t, 6, 5) || '/'
                   || substr(t, 11, 5) || '/item.htm?query=1'
                   || CASE WHEN hot THEN '' ELSE '&channel_id=' || (c * 1048576) END
                   || '","dateTime":' || ({at}) || ',"extra":"' AS head
            FROM (
                SELECT *, getvariable('texts')[1 + c % 1024] AS t
                FROM (
                    SELECT i, i * {partitions} + {partition} AS n, (h // 20000) % 2 = 0 AS hot,
                           CASE WHEN (h // 20000) % 2 = 0 THEN h % 4 ELSE h % 10000 END AS c,
                           draw({seed}, {partition}, i, 'auction') AS a, draw({seed}, {partition}, i, 'bidder') AS b,
                           draw({seed}, {partition}, i, 'price') AS p
                    FROM (
                        SELECT range AS i, draw({seed}, {partition}, range, 'channel') AS h
                        FROM range({start}, {end})
                    )
                )
            )
        )
    """
