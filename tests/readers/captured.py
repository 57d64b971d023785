#!/usr/bin/env python3
"""Reads a captured slice with Python's own JSON and base64, and compares it with what was produced.

  captured.py FILE --produced PRODUCED.parquet [--produced ...] [--masked FIELD ...] [--key-masked]

Each record has to be one that was produced, at its offset, with its timestamp, key, value and headers byte for byte. A
masked field may have another value: it has to have one, of the same type, and as many different ones as were produced; all
other fields are the same. Prints {"header": …, "records": n, "partitions": {number: [first, last]}, "values": {field: …}},
and leaves with 3 and the first difference.
"""

import argparse
import base64
import json
import sys

import lake
import pyarrow.parquet as pq


class Differs(Exception):
    pass


def read(datum, line):
    """The bytes of a datum. JSON stands in the line as it came: it is cut out of it, not written anew."""
    if datum is None:
        return None
    (kind, value), = datum.items()
    if kind == "text":
        return value.encode()
    if kind == "base64":
        return base64.b64decode(value)
    assert kind == "json", kind
    starts = [at for at in range(len(line)) if line.startswith('{"json":', at)]
    for start in starts:
        text = line[start + len('{"json":'):]
        found, end = json.JSONDecoder().raw_decode(text)
        if found == value:
            return text[:end].encode()
    raise Differs(f"{value} is not in its line")


def same_but(masked, ours, produced, values):
    for field, value in produced.items():
        if field not in masked or value is None:
            if ours.get(field, "nothing") != value:
                raise Differs(f"{field}: {ours.get(field)} and not {value}")
            continue
        if type(ours[field]) is not type(value) or ours[field] == value:
            raise Differs(f"{field}: {ours[field]!r} is no mask of {value!r}")
        values.setdefault(field, {}).setdefault(value, set()).add(ours[field])
    if set(ours) != set(produced):
        raise Differs(f"fields: {sorted(ours)} and {sorted(produced)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--produced", action="append", required=True)
    parser.add_argument("--masked", action="append", default=[])
    parser.add_argument("--key-masked", action="store_true")
    options = parser.parse_args()
    produced = {}
    for file in options.produced:
        for row in pq.read_table(file).to_pylist():
            produced[row["partition"], row["offset"]] = row
    # By line feeds alone: what else Python takes for the end of a line may be in a text.
    with open(options.file, encoding="utf-8", newline="\n") as file:
        lines = file.read().removesuffix("\n").split("\n")
    header, partitions, values = json.loads(lines[0]), {}, {}
    try:
        for line in lines[1:]:
            record = json.loads(line)
            place = record["partition"], record["offset"]
            row = produced[place]
            ours = {
                "timestamp": record["timestamp"],
                "key": read(record["key"], line),
                "headers": [
                    {"key": each["key"], "value": read(each["value"], line)} for each in record.get("headers", [])
                ],
            }
            for name, value in ours.items():
                if value != row[name] and not (name == "key" and options.key_masked and value and row["key"]):
                    raise Differs(f"{place}: {name} is {value}, and {row[name]} was produced")
            value = read(record["value"], line)
            if options.masked and value is not None:
                same_but(options.masked, json.loads(value), json.loads(row["value"]), values)
            elif value != row["value"]:
                raise Differs(f"{place}: value {value}, and {row['value']} was produced")
            first, last = partitions.get(place[0], (place[1], place[1]))
            if place[1] < last:
                raise Differs(f"{place} is behind {last}")
            partitions[place[0]] = (first, place[1])
        for field, by_value in values.items():
            hashes = [each for hashes in by_value.values() for each in hashes]
            if len(hashes) != len(by_value) or len(set(hashes)) != len(by_value):
                raise Differs(f"{field}: {len(by_value)} values have {len(hashes)} masks, {len(set(hashes))} different ones")
    except Differs as differs:
        lake.answer({"differs": str(differs)})
        sys.exit(3)
    lake.answer({
        "header": header, "records": len(lines) - 1, "partitions": partitions,
        "values": {field: len(by_value) for field, by_value in values.items()},
    })


if __name__ == "__main__":
    lake.run(main)
