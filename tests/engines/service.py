"""What makes the table: topics, `tabletopic run`, and the catalog and the warehouse that it is told of."""

import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import fastavro
import table
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyiceberg.catalog.rest import RestCatalog

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("TABLETOPIC_CACHE") or ROOT / ".cache").resolve()
PARTITIONS = 2
TIMEOUT = 300  # seconds
ENGINE_TIMEOUT = 1800  # seconds, for all that one is asked
BEGAN = 1_767_225_600_000  # of the records' Kafka timestamps, in milliseconds: 2026-01-01

SQLITE = 'type = "sqlite"\nuri = "catalog.db"\n'
SERVE = '[catalog.serve]\nlisten = "127.0.0.1:0"\n'
CATALOGS = ("sqlite", "postgres", "rest")
# Some engines cannot open a table that has a type they do not know: one for them has no such column.
TABLES = {"shop.everything": (), "shop.without_time": ("clock",)}


class Folder:
    """A folder with a configuration, and processes that work by it."""

    def __init__(self, folder, tabletopic, bootstrap, store=None):
        self.folder, self.tabletopic, self.bootstrap = pathlib.Path(folder), str(tabletopic), bootstrap
        self.store = store
        self.config = self.folder / "tabletopic.toml"

    def with_warehouse(self, section):
        return f"{section}warehouse = \"{'s3://lake/warehouse' if self.store else 'warehouse'}\"\n"

    def common(self, catalog):
        """What the configuration says beside the topics."""
        text = f"""[kafka]
bootstrap = "{self.bootstrap}"
group = "engines-{os.getpid()}"

[catalog]
{catalog}
[admin]
listen = "127.0.0.1:0"
"""
        if store := self.store:
            text += f"""
[storage]
s3.endpoint = "{store.endpoint}"
s3.path-style-access = true
s3.access-key-id = "{store.key_id}"
s3.secret-access-key = "{store.key}"
"""
        return text

    def tabletopic_does(self, *command):
        """What a command prints, which has to succeed."""
        done = subprocess.run(
            [self.tabletopic, *command, "--config", self.config], capture_output=True, text=True, timeout=TIMEOUT,
        )
        if done.returncode:
            sys.exit(f"tabletopic {command[0]} left with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout

    @contextlib.contextmanager
    def process(self, name, config, *command, says=r"catalog \S+ at (http://\S+?)/?\s"):
        """A process of tabletopic, and what it has said."""
        log = self.folder / f"{name}.log"
        with open(log, "wb") as to:
            process = subprocess.Popen([self.tabletopic, *command, "--config", config], stdout=to, stderr=to)
        try:
            yield said(process, log, says)
        finally:
            process.terminate()
            process.wait(TIMEOUT)


class Service(Folder):
    """Tables of each type that is written, and the programs that make them."""

    def __init__(self, folder, tabletopic, bootstrap, store):
        super().__init__(folder, tabletopic, bootstrap, store)
        self.catalog, self.server = None, None
        # Unlike any other run's on the same broker.
        self.topics = {name: f"{name}.{os.getpid()}" for name in TABLES}
        self.produced = {name: [] for name in TABLES}
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        admin = AdminClient({"bootstrap.servers": bootstrap})
        # Records have times of their own, which are not to make them old.
        settings = {"retention.ms": "-1"}
        made = [NewTopic(topic, PARTITIONS, 1, config=settings) for topic in self.topics.values()]
        for future in admin.create_topics(made).values():
            future.result(TIMEOUT)

    def connect(self, catalog, parts):
        """Says which catalog the tables are in: one of CATALOGS. What has to run for it ends with `parts`."""
        match catalog:
            case "sqlite":
                self.catalog = self.with_warehouse(SQLITE)
            case "postgres":
                self.catalog = self.with_warehouse(parts.enter_context(database()))
            case "rest":
                # Another process has the catalog; who ingests is one client of it, and the engines are others.
                config = self.folder / "server.toml"
                # A configuration has to have a topic, which nobody reads here.
                topic = '\n[[topic]]\nname = "none"\ntable = "shop.none"\nformat = "json"\n'
                config.write_text(self.common(self.with_warehouse(SQLITE) + SERVE) + topic)
                self.server = parts.enter_context(self.process("server", config, "catalog", "serve"))
                self.catalog = f'type = "rest"\nuri = "{self.server}"\n'

    def configure(self, phase, more=""):
        """The configuration for the records of a phase."""
        text = self.common(self.catalog + ("" if self.server else SERVE)) + more
        for name, without in TABLES.items():
            schema = self.folder / f"{name}.{phase.number}.avsc"
            schema.write_text(table.schema_text(phase, without))
            text += f"""
[[topic]]
name = "{self.topics[name]}"
table = "{name}"
format = "avro"
event_time = "at"
partition_by = {json.dumps(phase.partition_by)}
schema.file = "{schema.name}"
schema.evolution = ["add", "widen", "rename"]
limits.first_year = 1900
commit.interval = "1s"
"""
        self.config.write_text(text)

    def produce(self, phase, rows):
        """Sends these rows to each topic, and remembers what each table should hold of them."""
        for name, without in TABLES.items():
            schema = fastavro.parse_schema(phase.schema(without))
            for row in rows:
                buffer = io.BytesIO()
                fastavro.schemaless_writer(buffer, schema, phase.record(row, without))
                self.producer.produce(
                    self.topics[name], buffer.getvalue(), partition=row["id"] % PARTITIONS,
                    timestamp=BEGAN + row["id"], on_delivery=self.delivered(name, without, row),
                )
        if left := self.producer.flush(TIMEOUT):
            sys.exit(f"{left} records were not produced")

    def delivered(self, name, without, row):
        def callback(error, message):
            if error:
                sys.exit(f"not produced: {error}")
            kept = {column: value for column, value in row.items() if column not in without}
            self.produced[name].append(kept | {
                "_kafka_partition": message.partition(), "_kafka_offset": message.offset(),
                "_kafka_timestamp": table.EPOCH + table.MILLISECOND * message.timestamp()[1],
            })

        return callback

    def run_until_end(self):
        self.tabletopic_does("run", "--until-end")

    def compact(self):
        """Merges the files of each partition value, and answers what it says it did."""
        return json.loads(self.tabletopic_does("compact", *TABLES, "--output", "json"))

    @contextlib.contextmanager
    def serving(self):
        """Answers the URL at which engines find the catalog."""
        if self.server:
            yield self.server
            return
        with self.process("serve", self.config, "catalog", "serve") as url:
            yield url

    @contextlib.contextmanager
    def ingesting(self):
        """The same while records come in; what the ingest logs goes to run.log."""
        if not self.server:
            with self.process("run", self.config, "run", "--serve-catalog") as url:
                yield url
            return
        with self.process("run", self.config, "run", says=r"status page at (http://\S+)"):
            yield self.server

    def lake(self, uri, name):
        """What an engine has to know to find a table (see ask.py)."""
        loaded = rest_catalog(self.store, uri).load_table(name)
        return {
            "uri": uri, "catalog": "tabletopic", "table": name, "metadata": loaded.metadata_location,
            "location": loaded.location(), "config": str(self.config), "tabletopic": self.tabletopic,
            "cache": str(CACHE), "store": self.store and vars(self.store),
        }


class EngineFailed(Exception):
    """The process that asks an engine ended early."""


def engine_process(folder, program, name, file):
    """What a program of this folder prints about the engine of this name."""
    # The engines that Python loads are beside the packages of the readers.
    paths = os.pathsep.join(map(str, (CACHE / "engines", CACHE / "pyspark", ROOT / "tests/parts")))
    log = folder / f"{name}.log"
    with open(log, "wb") as to:
        done = subprocess.run(
            ["nice", sys.executable, ROOT / "tests/engines" / program, name, file], stdout=subprocess.PIPE, stderr=to,
            env=os.environ | {"PYTHONPATH": paths, "TZ": "UTC"}, timeout=ENGINE_TIMEOUT,
        )
    if done.returncode:
        said = log.read_text(errors="replace")
        # Java's traces are long: what was wrong stands in their first lines.
        why = [line for line in said.splitlines() if "Exception: " in line or "Error: " in line]
        raise EngineFailed(f"{name} ended with {done.returncode}: {' | '.join(why[:5])}\n{said[-2000:]}")
    # Some say something of their own before.
    return json.loads(done.stdout.splitlines()[-1])


def as_lake(told):
    """What `Service.lake` tells, as engines take it."""
    store = told["store"] and SimpleNamespace(**told["store"])
    return SimpleNamespace(**told | {"store": store})


def rest_catalog(store, uri):
    """PyIceberg on the catalog server."""
    properties = {}
    if store:
        properties = {"s3.endpoint": store.endpoint, "s3.region": store.region,
                      "s3.access-key-id": store.key_id, "s3.secret-access-key": store.key}
    return RestCatalog("lake", uri=uri, warehouse="tabletopic", **properties)


def said(process, log, pattern):
    """Waits until a process has logged what the pattern finds."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := re.search(pattern, log.read_text(errors="replace"))):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"it does not serve:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)
    return found[1]


@contextlib.contextmanager
def running(program, *arguments):
    """A program of tests/parts, and the first line that it prints."""
    part = subprocess.Popen(
        ["python3", ROOT / "tests/parts" / program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        line = part.stdout.readline().strip()
        if not line:
            sys.exit(f"{program} did not start")
        yield part, line
    finally:
        part.stdin.close()
        part.wait(TIMEOUT)


@contextlib.contextmanager
def database():
    """A database of PostgreSQL, as [catalog] names it."""
    with running("postgres.py") as (part, port):
        print("create lake", file=part.stdin, flush=True)
        part.stdout.readline()
        yield f"""type = "postgres"
uri = "postgres://lake@127.0.0.1:{port}/lake?sslmode=disable"
password = "lake's password"
"""


@contextlib.contextmanager
def object_store():
    """An S3 server with an empty bucket."""
    with running("s3.py") as (_, endpoint):
        store = SimpleNamespace(endpoint=endpoint, region="us-east-1", key_id="test-key", key="test-secret")
        # Some clients of S3 take no other configuration.
        os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": store.region,
                       "AWS_ACCESS_KEY_ID": store.key_id, "AWS_SECRET_ACCESS_KEY": store.key}
        yield store


def add_arguments(parser):
    """Those of every program here that makes a table."""
    parser.add_argument("--catalog", choices=CATALOGS, default="sqlite")
    parser.add_argument("--store", choices=["disk", "s3"], default="disk")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/debug/tabletopic")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="an empty folder for the lake, which stays")
    parser.add_argument("--write", action="store_true", help="the results into results.jsonl and results.md")


@contextlib.contextmanager
def started(options):
    """A service with what its arguments ask for, which goes with its folder."""
    with contextlib.ExitStack() as parts:
        folder = options.keep or parts.enter_context(tempfile.TemporaryDirectory(prefix="engines-"))
        store = parts.enter_context(object_store()) if options.store == "s3" else None
        bootstrap = os.environ.get("TABLETOPIC_TEST_BOOTSTRAP") or sys.exit("TABLETOPIC_TEST_BOOTSTRAP names no broker")
        made = Service(folder, options.binary, bootstrap, store)
        made.connect(options.catalog, parts)
        yield made
