"""Flink's SQL in a JVM of its own, connected to the REST catalog."""

import json
import pathlib
import subprocess
import tempfile

from engine.sql import Dialect

HERE = pathlib.Path(__file__).resolve().parent
# Its serializers look into Java's own classes.
OPENED = "lang lang.reflect io net nio text time util util.concurrent util.concurrent.atomic".split()
JAVA = [
    "-Xmx768m", "-XX:MaxDirectMemorySize=512m", "-XX:+UseSerialGC",
    *[f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED],
]


class Engine(Dialect):
    def __init__(self, lake):
        jars = f"{lake.cache}/flink/*"
        self.table = f"lake.{lake.table}"
        self.folder = tempfile.TemporaryDirectory(prefix="flink-")
        subprocess.run(["javac", "-cp", jars, "-d", self.folder.name, HERE / "FlinkSql.java"], check=True)
        more = ""
        if store := lake.store:
            more = f""", 'io-impl' = 'org.apache.iceberg.aws.s3.S3FileIO', 's3.endpoint' = '{store.endpoint}',
                's3.path-style-access' = 'true'"""
        self.process = subprocess.Popen(
            ["java", *JAVA, "-cp", f"{self.folder.name}:{jars}", "FlinkSql"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.ask(f"""CREATE CATALOG lake WITH ('type' = 'iceberg', 'catalog-type' = 'rest', 'uri' = '{lake.uri}',
            'warehouse' = '{lake.catalog}', 'cache-enabled' = 'false'{more})""")

    def ask(self, query):
        """The rows, each by column. A statement is a line there and back."""
        self.process.stdin.write(json.dumps(query) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("Flink has ended")
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise RuntimeError(answer["failed"])
        return answer

    def rows(self):
        return self.ask(f"SELECT * FROM {self.table}")

    def count(self, conditions):
        return self.ask(f"SELECT count(*) AS n FROM {self.table} WHERE {self.where(conditions)}")[0]["n"]

    def change(self, statement):
        return self.ask(statement)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def column(self, name):
        return ".".join(f"`{part}`" for part in name.split("."))

    def double(self, value):
        return super().double(value.replace("inf", "Infinity"))

    def float(self, value):
        return f"CAST({self.double(value)} AS FLOAT)"

    def uuid(self, value):
        return f"X'{value.replace('-', '')}'"

    def timestamptz(self, value):
        return f"CAST('{value.replace('T', ' ').removesuffix('Z')}' AS TIMESTAMP_LTZ(6))"
