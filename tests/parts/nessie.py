#!/usr/bin/env python3
"""A Nessie catalog, which serves Iceberg's REST protocol and signs requests for the tables' files, for a test that starts it
as its child.

  nessie.py ENDPOINT   starts it with nothing in it and its warehouse in the bucket `lake` of the S3 server at ENDPOINT, waits
                       until it serves, and prints its URL

It keeps names in memory, and ends with standard input. Needs what `provision engines` installs, and a JDK 25: that of
TABLETOPIC_JDK25, or one where distributions put them. Only Python's standard library.
"""

import glob
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from fixture import serves
from kafka import CACHE, HOST, free_port
from s3 import BUCKET, KEYS
from sigv4 import REGION

START_TIMEOUT = 180  # seconds


def java():
    places = [os.environ.get("TABLETOPIC_JDK25", ""), *sorted(glob.glob("/usr/lib/jvm/*-25-*"))]
    for place in map(pathlib.Path, filter(None, places)):
        if (place / "bin/java").exists():
            return place / "bin/java"
    sys.exit("nessie.py: Nessie needs a JDK 25: install one, or say where it is with TABLETOPIC_JDK25")


def settings(port, endpoint):
    key_id, key = KEYS
    store = "nessie.catalog.service.s3.default-options"
    return {
        "quarkus.http.host": HOST, "quarkus.http.port": port, "quarkus.management.host": HOST,
        "quarkus.management.port": free_port(), "quarkus.otel.sdk.disabled": "true",
        "nessie.version.store.type": "IN_MEMORY", "nessie.catalog.default-warehouse": "lake",
        "nessie.catalog.warehouses.lake.location": f"s3://{BUCKET}/nessie",
        f"{store}.endpoint": endpoint, f"{store}.region": REGION, f"{store}.path-style-access": "true",
        f"{store}.request-signing-enabled": "true",
        f"{store}.access-key": "urn:nessie-secret:quarkus:keys", "keys.name": key_id, "keys.secret": key,
    }


def main():
    [endpoint] = sys.argv[1:]
    jars = list((CACHE / "nessie").glob("*-runner.jar"))
    if not jars:
        sys.exit(f"nessie.py: no catalog in {CACHE / 'nessie'}: run tests/parts/provision engines")
    port = free_port()
    url = f"http://{HOST}:{port}/iceberg"
    command = [java(), "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
               *(f"-D{name}={value}" for name, value in settings(port, endpoint).items()), "-jar", jars[0]]
    with tempfile.TemporaryDirectory(prefix="nessie-") as folder, open(f"{folder}/log", "w+", encoding="utf-8") as log:
        server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not serves(url):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"nessie.py: it does not serve:\n{log.read()[-4000:]}")
                time.sleep(0.1)
            print(url, flush=True)
            sys.stdin.read()
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
