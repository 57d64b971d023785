"""ClickHouse in this process (chdb), on the table's own files: its catalogs want an object store."""

import functools
import io
import os

import chdb
import pyarrow.ipc

from engine.sql import Dialect

# Texts of any bytes, and members of structs read from the whole struct: files from before a column was added to it have
# no such member.
SETTINGS = """session_timezone = 'UTC', output_format_arrow_string_as_string = 0,
    output_format_arrow_fixed_string_as_fixed_byte_array = 1, optimize_functions_to_subcolumns = 0"""


class Engine(Dialect):
    def __init__(self, lake):
        location, metadata = lake.location, lake.metadata
        settings = f"SETTINGS iceberg_metadata_file_path = '{metadata.removeprefix(location).lstrip('/')}'"
        if store := lake.store:
            path = f"{store.endpoint}/{location.removeprefix('s3://')}"
            self.table = f"icebergS3('{path}', '{store.key_id}', '{store.key}', {settings})"
        else:
            # It takes paths for relative ones.
            os.chdir("/")
            self.table = f"icebergLocal('{location.removeprefix('file://').lstrip('/')}', {settings})"

    def ask(self, query):
        answer = chdb.query(f"{query} SETTINGS {SETTINGS}", "Arrow")
        return pyarrow.ipc.open_file(io.BytesIO(answer.bytes())).read_all().to_pylist()

    def rows(self):
        return self.ask(f"SELECT * FROM {self.table}")

    def count(self, conditions):
        return self.ask(f"SELECT count() AS n FROM {self.table} WHERE {self.where(conditions)}")[0]["n"]

    def close(self):
        pass

    def column(self, name):
        first, *inner = name.split(".")
        return functools.reduce(lambda outer, member: f"tupleElement({outer}, '{member}')", inner, f'"{first}"')

    def starts_with(self, column, prefix):
        return f"startsWith({column}, {self.string(prefix)})"

    def string(self, value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def double(self, value):
        return f"toFloat64('{value}')"

    def float(self, value):
        return f"toFloat32('{value}')"

    def decimal(self, value, _precision, scale):
        return f"toDecimal128('{value}', {scale})"

    def binary(self, value):
        return f"unhex('{value}')"

    def uuid(self, value):
        return f"toUUID('{value}')"

    def date(self, value):
        return f"toDate32('{value}')"

    def timestamp(self, value):
        return f"toDateTime64('{value.replace('T', ' ')}', 6)"

    def timestamptz(self, value):
        return f"toDateTime64('{value.replace('T', ' ').removesuffix('Z')}', 6, 'UTC')"
