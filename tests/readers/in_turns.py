"""Records of several queues into partition 0 of a topic, in turns; and the rows that they should become."""

import pickle
import sys

import lake
from confluent_kafka import Producer


def produce(options, queues):
    """Each entry of a queue is key, value, headers and row; a record that becomes no row has None. `options.rows` gets the
    rows by offset (see avro_rows.py). Prints how many records there are, and their offsets."""
    rows, failures = {}, []

    def delivered(row):
        def acknowledged(error, message):
            if error is not None:
                failures.append(str(error))
            else:
                rows[message.offset()] = row

        return acknowledged

    producer = Producer({"bootstrap.servers": options.bootstrap, "enable.idempotence": True})
    while any(queues):
        for queue in queues:
            if queue:
                key, value, headers, row = queue.pop(0)
                producer.produce(
                    options.topic, value, key, partition=0, headers=headers or [], on_delivery=delivered(row)
                )
    producer.flush()
    if failures:
        sys.exit(f"not produced: {failures[0]}")
    with open(options.rows, "wb") as file:
        pickle.dump(rows, file)
    lake.answer({"records": len(rows), "first": min(rows), "end": max(rows) + 1})
