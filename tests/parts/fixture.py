#!/usr/bin/env python3
"""Iceberg's own REST catalog, which its clients are tested against, for a test that starts it as its child.

  fixture.py   starts it with nothing in it, waits until it serves, and prints its URL

It keeps tables in memory, and ends with standard input. Needs Java and what `provision` installs with the compatibility
kit; only Python's standard library.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from kafka import CACHE, HOST, free_port

SERVER = "org.apache.iceberg.rest.RESTCatalogServer"
START_TIMEOUT = 120  # seconds


def serves(url):
    # Not by a proxy that the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/v1/config", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def main():
    if not list((CACHE / "rck").glob("jetty-compression-server-*.jar")):
        sys.exit(f"fixture.py: no catalog in {CACHE / 'rck'}: run tests/parts/provision")
    port = free_port()
    url = f"http://{HOST}:{port}"
    with tempfile.TemporaryDirectory(prefix="fixture-") as folder:
        command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
                   "-cp", f"{CACHE / 'rck'}/*", SERVER]
        settings = {"CATALOG_REST_PORT": str(port), "CATALOG_WAREHOUSE": f"file://{folder}",
                    "CATALOG_CATALOG__IMPL": "org.apache.iceberg.inmemory.InMemoryCatalog"}
        with open(f"{folder}/log", "w+", encoding="utf-8") as log:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | settings)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            try:
                deadline = time.monotonic() + START_TIMEOUT
                while not serves(url):
                    if server.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        sys.exit(f"fixture.py: it does not serve:\n{log.read()[-4000:]}")
                    time.sleep(0.05)
                print(url, flush=True)
                sys.stdin.read()
            finally:
                server.kill()
                server.wait()


if __name__ == "__main__":
    main()
