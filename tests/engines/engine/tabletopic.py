"""Our shell, `tabletopic sql`, with its answers as Parquet: its JSON has no NaN."""

import subprocess
import tempfile

import pyarrow.parquet as pq

from engine.sql import Dialect


class Engine(Dialect):
    def __init__(self, lake):
        self.table, self.command = lake.table, [lake.tabletopic, "sql", "--config", lake.config]

    def ask(self, query):
        with tempfile.TemporaryDirectory() as folder:
            answer = f"{folder}/answer.parquet"
            command = [*self.command, "-c", query, "--output", "parquet", "-o", answer]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(done.stderr.strip())
            return pq.read_table(answer).to_pylist()

    def rows(self):
        return self.ask(f"SELECT * FROM {self.table}")

    def count(self, conditions):
        return self.ask(f"SELECT count(*) AS n FROM {self.table} WHERE {self.where(conditions)}")[0]["n"]

    def close(self):
        pass

    def column(self, name):
        first, *inner = name.split(".")
        return f'"{first}"' + "".join(f"['{each}']" for each in inner)

    def uuid(self, value):
        return f"X'{value.replace('-', '')}'"

    def time(self, value):
        return f"arrow_cast('{value}', 'Time64(Microsecond)')"

    def timestamptz(self, value):
        return f"TIMESTAMPTZ '{value}'"
