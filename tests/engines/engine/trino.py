"""A Trino server of one node, started from the jars of its modules, connected to the REST catalog."""

import glob
import os
import pathlib
import subprocess
import tempfile
import time

import trino
from kafka import free_port

from engine.sql import Dialect

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT = 180  # seconds

CONFIG = """\
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
node.environment=test
node.id=one
node.internal-address=127.0.0.1
node.bind-ip=127.0.0.1
query.max-memory=384MB
query.max-memory-per-node=384MB
memory.heap-headroom-per-node=256MB
task.concurrency=2
task.max-worker-threads=4
plugin.dir={jars}/plugins
catalog.config-dir={folder}/catalog
"""
CATALOG = """\
connector.name=iceberg
iceberg.catalog.type=rest
iceberg.rest-catalog.uri={uri}
iceberg.rest-catalog.warehouse={catalog}
iceberg.rest-catalog.view-endpoints-enabled=false
iceberg.expire-snapshots.min-retention=0s
"""
DISK = "fs.local.enabled=true\nlocal.location=/\n"
STORE = """\
fs.s3.enabled=true
s3.endpoint={endpoint}
s3.region={region}
s3.path-style-access=true
s3.aws-access-key={key_id}
s3.aws-secret-key={key}
"""
JAVA = [
    "-Xmx1g", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djdk.attach.allowAttachSelf=true",
    "--add-modules=jdk.incubator.vector", "-XX:+EnableDynamicAgentLoading", "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
]


def jdk():
    """The JDK 25 that Trino asks for: that of TABLETOPIC_JDK25, or one where distributions put them."""
    places = [os.environ.get("TABLETOPIC_JDK25", ""), *sorted(glob.glob("/usr/lib/jvm/*-25-*"))]
    for place in map(pathlib.Path, filter(None, places)):
        if (place / "bin/javac").exists():
            return place
    raise RuntimeError("Trino needs a JDK 25: install one, or say where it is with TABLETOPIC_JDK25")


class Server:
    """A Trino with the catalog `lake`, until it is closed."""

    def __init__(self, lake):
        self.folder = tempfile.TemporaryDirectory(prefix="trino-")
        folder, jars = pathlib.Path(self.folder.name), f"{lake.cache}/trino"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "catalog").mkdir()
        (folder / "config.properties").write_text(CONFIG.format(port=port, folder=folder, jars=jars))
        catalog = CATALOG.format(uri=lake.uri, catalog=lake.catalog)
        catalog += STORE.format(**vars(lake.store)) if lake.store else DISK
        (folder / "catalog/lake.properties").write_text(catalog)
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [jdk() / "bin/java", *JAVA, f"-Dconfig={folder}/config.properties", "-cp", f"{jars}/server/*",
                 HERE / "TrinoServer.java"],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self.connection = trino.dbapi.connect(host="127.0.0.1", port=port, user="tests", catalog="lake", timezone="UTC")
        try:
            self.wait()
        except BaseException:
            self.close()
            raise

    def wait(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return self.ask("SHOW SCHEMAS")
            except Exception:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Trino does not serve:\n{self.log.read_text()[-4000:]}") from None
                time.sleep(0.5)

    def ask(self, query):
        """The rows, each by column."""
        cursor = self.connection.cursor()
        cursor.execute(query)
        rows = cursor.fetchall()
        return [dict(zip([column[0] for column in cursor.description], row)) for row in rows]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Engine(Dialect):
    def __init__(self, lake):
        self.table, self.server = f"lake.{lake.table}", Server(lake)

    def rows(self):
        return self.server.ask(f"SELECT * FROM {self.table}")

    def count(self, conditions):
        return self.server.ask(f"SELECT count(*) AS n FROM {self.table} WHERE {self.where(conditions)}")[0]["n"]

    def change(self, statement):
        """The number of rows that it changed."""
        cursor = self.server.connection.cursor()
        cursor.execute(statement)
        cursor.fetchall()
        return cursor.rowcount

    def close(self):
        self.server.close()

    def double(self, value):
        return {"inf": "infinity()", "-inf": "-infinity()"}.get(value) or super().double(value)

    def float(self, value):
        return f"CAST({self.double(value)} AS REAL)"
