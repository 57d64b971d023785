"""DuckDB with its extension for Iceberg, attached to the REST catalog."""

import importlib.resources

import duckdb

from engine.sql import Dialect


class Engine(Dialect):
    def __init__(self, lake):
        self.table = f"lake.{lake.table}"
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        for name in ("avro", "iceberg", "httpfs"):
            folder = importlib.resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
            self.connection.execute(f"LOAD '{folder / name}.duckdb_extension'")
        self.connection.execute("SET TimeZone = 'UTC'")
        if store := lake.store:
            self.connection.execute(f"""CREATE SECRET store (TYPE s3, KEY_ID '{store.key_id}', SECRET '{store.key}',
                REGION '{store.region}', ENDPOINT '{store.endpoint.removeprefix("http://")}', URL_STYLE 'path',
                USE_SSL false)""")
        self.connection.execute(f"""ATTACH '{lake.catalog}' AS lake
            (TYPE iceberg, ENDPOINT '{lake.uri}', AUTHORIZATION_TYPE 'none')""")

    def rows(self):
        # Through Arrow: DuckDB's own way to Python's times with a zone needs one more package.
        return self.connection.execute(f"SELECT * FROM {self.table}").to_arrow_table().to_pylist()

    def count(self, conditions):
        query = f"SELECT count(*) FROM {self.table} WHERE {self.where(conditions)}"
        return self.connection.execute(query).fetchall()[0][0]

    def close(self):
        self.connection.close()

    def binary(self, value):
        return f"from_hex('{value}')"

    def timestamptz(self, value):
        return f"TIMESTAMPTZ '{value}'"
