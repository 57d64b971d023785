"""Kafka Connect with Iceberg's sink: a standalone worker with one task, which is idle until it is given the connector."""

import json
import time
import urllib.error
import urllib.request

import connect
from kafka import CACHE, HOST, free_port
from place import CATALOG, FETCH, HEAP, TABLE, admin
from process import Process

NAME, TITLE = "connect", "Kafka Connect"
JAVA = [f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseParallelGC"]
START_TIMEOUT = 120  # seconds
# The worker's status is asked for this often: a task that has failed leaves the worker running.
STATUS_EVERY = 5  # seconds
PORT_SHOWN = 0


def control_topic(place):
    return f"{place.unique}-control"


def connector(place):
    return {
        "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
        "tasks.max": "1",
        "topics": place.topic,
        "consumer.override.auto.offset.reset": "earliest",
        **{f"consumer.override.{name}": value for name, value in FETCH.items()},
        "iceberg.tables": TABLE,
        "iceberg.control.topic": control_topic(place),
        "iceberg.control.commit.interval-ms": str(place.interval_s * 1000),
        "iceberg.catalog": CATALOG,
        "iceberg.catalog.type": "jdbc",
        "iceberg.catalog.uri": f"jdbc:sqlite:{place.catalog}",
        "iceberg.catalog.jdbc.schema-version": "V1",
        "iceberg.catalog.warehouse": place.warehouse,
        "iceberg.catalog.io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
    }


def worker(place, port):
    lines = connect.settings(place.bootstrap, place.folder, port).items()
    return "".join(f"{name}={value}\n" for name, value in lines)


def settings(place):
    """By the name of each file."""
    shown = worker(place, PORT_SHOWN).replace(str(CACHE), "CACHE")
    return {
        "worker.properties": shown, "connector.json": json.dumps(connector(place), indent=1),
        "java": " ".join(JAVA),
    }


def versions(_):
    [sink] = (CACHE / "connect/plugins/iceberg").glob("iceberg-kafka-connect-[0-9]*.jar")
    [runtime] = (CACHE / "connect/worker").glob("connect-runtime-*.jar")
    return {"Kafka Connect": runtime.stem.rpartition("-")[2], "its Iceberg sink": sink.stem.rpartition("-")[2]}


def ask(url, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    # Not by a proxy that the environment names.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


class System:
    """What it takes until it is idle is its start-up; what counts begins when it is given the connector."""

    def __init__(self, place, _):
        self.place, self.process, self.asked = place, None, 0

    def prepare(self):
        admin(self.place, "create", control_topic(self.place))
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        file = self.place.folder / "worker.properties"
        file.write_text(worker(self.place, port))
        command = ["java", *JAVA, f"-Dlog4j2.configurationFile={connect.LOG_SETTINGS}",
                   "-cp", f"{CACHE / 'connect/worker'}/*", connect.WORKER, file]
        self.process = Process(TITLE, command, self.place.folder)
        self.process.wait_until("serve", lambda: connect.serves(self.url), START_TIMEOUT)
        self.process.wait_until_idle()

    def begin(self):
        ask(f"{self.url}/connectors", {"name": self.place.unique, "config": connector(self.place)})

    def cpu(self):
        return self.process.cpu()

    def check(self):
        self.process.check()
        if time.monotonic() < self.asked + STATUS_EVERY:
            return
        self.asked = time.monotonic()
        try:
            status = ask(f"{self.url}/connectors/{self.place.unique}/status")
        except urllib.error.HTTPError:
            # It has none yet, right after it was given.
            return
        for each in (status["connector"], *status["tasks"]):
            if each["state"] == "FAILED":
                raise self.process.failed(f"has a task that failed:\n{each.get('trace')}\n")

    def close(self):
        if self.process:
            self.process.end()
            admin(self.place, "delete", control_topic(self.place))
