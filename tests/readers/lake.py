"""The lake as outside readers see it: tables through PyIceberg's SQL catalog, and DuckDB with its Iceberg extension."""

import argparse
import importlib.resources
import json
import os
import sys
import traceback

import duckdb
import fsspec
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO

if "AZURE_STORAGE_CONNECTION_STRING" in os.environ:
    # What is needed for tables there has a folder of its own, which `provision engines` fills.
    sys.path.append(os.path.join(os.environ["TABLETOPIC_CACHE"], "azure"))

DIFFERS = 3  # exit code: the program ran, and its verdict is "not as it should be"


def arguments(description):
    """A parser with the options that every reader of a table has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", required=True, metavar="FILE", help="the SQLite catalog, or the URL of a database")
    parser.add_argument("--catalog-name", default="tabletopic")
    parser.add_argument("--table", required=True, metavar="NAMESPACE.TABLE")
    return parser


def open_catalog(options):
    """The catalog as it is: a reader makes none, nor any table in it."""
    uri = options.catalog
    if "://" not in uri:
        if not os.path.exists(uri):
            sys.exit(f"no catalog file {uri}")
        uri = f"sqlite:///{os.path.abspath(uri)}"
    store = {}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        store = {"s3.endpoint": endpoint, "s3.region": os.environ["AWS_REGION"]}
        if in_gcs():
            store["py-io-impl"] = f"{__name__}.GcsAsS3"
    if connection := os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        store = {"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO", "adls.connection-string": connection}
    return SqlCatalog(options.catalog_name, uri=uri, init_catalog_tables="false", **store)


def in_gcs():
    """Whether the server's objects are called `gs://`. Google's store can be asked in S3's dialect, too."""
    return "LAKE_IN_GCS" in os.environ


class GcsAsS3(PyArrowFileIO):
    def new_input(self, location):
        return super().new_input(location.replace("gs://", "s3://", 1))


def open_table(options):
    return open_catalog(options).load_table(options.table)


def open_duckdb(*more):
    """DuckDB with the extensions of its own packages: nothing is fetched, nothing is written to the home folder."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        more += ("httpfs",)
    for name in (*more, "avro", "iceberg"):
        folder = importlib.resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
        connection.execute(f"LOAD '{folder / name}.duckdb_extension'")
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    if endpoint:
        key_id, key, region = (os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "REGION"))
        connection.execute(f"""CREATE SECRET store (TYPE {"gcs" if in_gcs() else "s3"}, KEY_ID '{key_id}', SECRET '{key}', REGION '{region}',
            ENDPOINT '{endpoint.removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)""")
    if azure := os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        # DuckDB's own extension asks Azure itself, whatever the string says, where a location names the account.
        connection.register_filesystem(fsspec.filesystem("abfs", connection_string=azure))
    return connection


def scan(metadata_location):
    """SQL for DuckDB's own reading of the table whose metadata file this is."""
    path = metadata_location.removeprefix("file://").replace("'", "''")
    return f"iceberg_scan('{path}')"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def rows(result):
    """A DuckDB result as a list of objects that JSON can hold."""
    # Through Arrow: DuckDB's own way to Python's times with a zone needs one more package.
    return [plain(row) for row in result.to_arrow_table().to_pylist()]


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode(errors="backslashreplace")
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def answer(result):
    """Prints the result, one JSON object, as every reader does."""
    json.dump(plain(result), sys.stdout, indent=1, ensure_ascii=False)
    print()


def run(program):
    """Runs what a reader does, a function that returns its exit code or None, and ends the process with it: without
    the end of the interpreter, in which threads of the native libraries have crashed a reader that had answered."""
    try:
        code = program()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
