#!/usr/bin/env python3
"""A broker that has no topic ids, as Kafka before 2.8 and brokers that others have written: librdkafka's mock cluster.

  without_topic_ids.py TOPIC PARTITIONS    prints its bootstrap address, and ends with standard input

It knows Metadata up to the version before the one that brought ids (KIP-516). Python's client has the cluster inside, and
no words for it.
"""

import ctypes
import pathlib
import sys

import confluent_kafka

METADATA, BEFORE_IDS = 3, 9
PRODUCER = 0


def library():
    """The client's own librdkafka, with the types of what is called here."""
    [file] = pathlib.Path(confluent_kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka*")
    lib = ctypes.CDLL(str(file))
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, answer, *arguments in (
        ("conf_new", pointer),
        ("conf_set", number, pointer, text, text, text, ctypes.c_size_t),
        ("new", pointer, number, pointer, text, ctypes.c_size_t),
        ("handle_mock_cluster", pointer, pointer),
        ("mock_broker_add", number, pointer, ctypes.c_int32),
        ("mock_set_apiversion", number, pointer, ctypes.c_int16, ctypes.c_int16, ctypes.c_int16),
        ("mock_topic_create", number, pointer, text, number, number),
        ("mock_cluster_bootstraps", text, pointer),
    ):
        function = getattr(lib, f"rd_kafka_{name}")
        function.restype, function.argtypes = answer, arguments
    return lib


def main():
    topic, partitions = sys.argv[1].encode(), int(sys.argv[2])
    lib = library()
    why = ctypes.create_string_buffer(512)
    conf = lib.rd_kafka_conf_new()
    lib.rd_kafka_conf_set(conf, b"test.mock.num.brokers", b"1", why, len(why))
    client = lib.rd_kafka_new(PRODUCER, conf, why, len(why))
    cluster = lib.rd_kafka_handle_mock_cluster(client)
    # It names broker 0 as its controller, and counts from 1.
    for refused in (
        lib.rd_kafka_mock_broker_add(cluster, 0),
        lib.rd_kafka_mock_set_apiversion(cluster, METADATA, 0, BEFORE_IDS),
        lib.rd_kafka_mock_topic_create(cluster, topic, partitions, 1),
    ):
        if refused:
            sys.exit(f"without_topic_ids.py: librdkafka's error {refused}")
    print(lib.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
