"""Flink's SQL with Iceberg's sink: a cluster within one process, with one slot, which is idle until it is given the job."""

import json
import subprocess

from kafka import CACHE
from place import CATALOG, FETCH, HEAP, HERE, ROOT, TABLE
from process import Process

NAME, TITLE = "flink", "Flink"
# Its serializers look into Java's own classes.
OPENED = "lang lang.reflect io net nio text time util util.concurrent util.concurrent.atomic".split()
JAVA = [
    f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseParallelGC",
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED),
]
START_TIMEOUT = 120  # seconds
JARS = [CACHE / part for part in ("flink_kafka", "flink")]
CLASSES = ":".join(f"{folder}/*" for folder in JARS)
READY = "ready for the job"


def cluster(place):
    """A failure ends it, instead of being tried again. Of memory outside of the heap the job needs next to none."""
    return {
        "execution.checkpointing.interval": f"{place.interval_s * 1000}ms",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": f"file://{place.folder}/checkpoints",
        "parallelism.default": "1",
        "pipeline.object-reuse": "true",
        "restart-strategy.type": "disable",
        "table.exec.iceberg.use-v2-sink": "true",
        "table.local-time-zone": "UTC",
        "taskmanager.memory.managed.size": "16m",
        "taskmanager.memory.network.min": "16m",
        "taskmanager.memory.network.max": "16m",
    }


def statements(place):
    """The last one is the job. With one writer, rows need not be sent to the writer of their day: without a shuffle the
    source, the parsing and the writer are one chain, in which no row is serialized."""
    catalog = {
        "type": "iceberg", "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog", "uri": f"jdbc:sqlite:{place.catalog}",
        "jdbc.schema-version": "V1", "warehouse": place.warehouse, "io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
    }
    topic = {
        "connector": "kafka", "topic": place.topic, "properties.bootstrap.servers": place.bootstrap,
        "properties.group.id": place.unique, "scan.startup.mode": "earliest-offset", "format": "json",
    } | {f"properties.{name}": value for name, value in FETCH.items()}
    return [
        f"CREATE CATALOG {CATALOG} WITH ({quoted(catalog)})",
        "CREATE TEMPORARY TABLE records (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, "
        f"`dateTime` BIGINT, extra STRING) WITH ({quoted(topic)})",
        f"INSERT INTO {CATALOG}.{TABLE} /*+ OPTIONS('distribution-mode' = 'none') */ "
        "SELECT auction, bidder, price, channel, url, TO_TIMESTAMP_LTZ(`dateTime`, 3), extra FROM records",
    ]


def quoted(properties):
    return ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())


def settings(place):
    """By the name of each file."""
    lines = "".join(f"{name}: {value}\n" for name, value in cluster(place).items())
    return {"config.yaml": lines, "job.sql": ";\n".join(statements(place)) + ";", "java": " ".join(JAVA)}


def versions(_):
    [runtime] = (CACHE / "flink").glob("flink-runtime-[0-9]*.jar")
    [sink] = (CACHE / "flink").glob("iceberg-flink-runtime-*.jar")
    [source] = (CACHE / "flink_kafka").glob("flink-sql-connector-kafka-*.jar")
    return {
        "Flink": runtime.stem.rpartition("-")[2], "Iceberg's runtime for it": sink.stem.rpartition("-")[2],
        "its Kafka source": source.stem.removeprefix("flink-sql-connector-kafka-"),
    }


class System:
    """What it takes until it is idle is its start-up, the catalog included; what counts begins when it is given the job,
    with which its cluster starts."""

    def __init__(self, place, _):
        self.place, self.process = place, None

    def prepare(self):
        folder = self.place.folder
        subprocess.run(["javac", "-cp", CLASSES, "-d", folder / "classes", HERE / "Job.java"], check=True)
        job = {"settings": cluster(self.place), "statements": statements(self.place)}
        (folder / "job.json").write_text(json.dumps(job))
        command = ["java", *JAVA, f"-Dlog4j2.configurationFile={ROOT / 'tests/parts/log4j2.properties'}",
                   "-cp", f"{folder / 'classes'}:{CLASSES}", "Job", folder / "job.json"]
        self.process = Process(TITLE, command, folder)
        self.process.wait_until("start", lambda: READY in self.process.written(), START_TIMEOUT)
        self.process.wait_until_idle()

    def begin(self):
        self.process.send("begin")

    def cpu(self):
        return self.process.cpu()

    def check(self):
        self.process.check()

    def close(self):
        if self.process:
            self.process.end()
