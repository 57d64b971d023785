#!/usr/bin/env python3
"""A worker of Kafka Connect that has the Iceberg sink, for a test that starts it as its child.

  connect.py BOOTSTRAP   starts it without connectors, waits until it serves, and prints its URL

Connectors are made through its REST API, and end with it, which ends with standard input. Needs Java and what
`provision engines` installs; only Python's standard library.
"""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from kafka import CACHE, HOST, free_port

WORKER = "org.apache.kafka.connect.cli.ConnectStandalone"
LOG_SETTINGS = pathlib.Path(__file__).with_name("log4j2.properties")
START_TIMEOUT = 120  # seconds
JSON = "org.apache.kafka.connect.json.JsonConverter"


def settings(bootstrap, folder, port):
    """Those of a worker; records are JSON without a schema."""
    return {
        "bootstrap.servers": bootstrap,
        "listeners": f"http://{HOST}:{port}",
        "plugin.path": CACHE / "connect/plugins",
        "plugin.discovery": "SERVICE_LOAD",
        "key.converter": JSON, "key.converter.schemas.enable": "false",
        "value.converter": JSON, "value.converter.schemas.enable": "false",
        "offset.storage.file.filename": f"{folder}/offsets",
        # The sink commits with its tasks' offsets: the usual minute would be waited for twice.
        "offset.flush.interval.ms": "1000",
        "connector.client.config.override.policy": "All",
    }


def serves(url):
    # Not by a proxy that the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/connectors", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def main():
    if not list((CACHE / "connect/plugins/iceberg").glob("iceberg-kafka-connect-*.jar")):
        sys.exit(f"connect.py: no sink in {CACHE / 'connect'}: run `tests/parts/provision engines`")
    port = free_port()
    url = f"http://{HOST}:{port}"
    with tempfile.TemporaryDirectory(prefix="connect-") as folder:
        file = pathlib.Path(folder, "worker.properties")
        lines = settings(sys.argv[1], folder, port).items()
        file.write_text("".join(f"{name}={value}\n" for name, value in lines))
        command = ["java", "-Xmx1g", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
                   "-cp", f"{CACHE / 'connect/worker'}/*", WORKER, file]
        with open(f"{folder}/log", "w+", encoding="utf-8") as log:
            worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            try:
                deadline = time.monotonic() + START_TIMEOUT
                while not serves(url):
                    if worker.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        sys.exit(f"connect.py: it does not serve:\n{log.read()[-4000:]}")
                    time.sleep(0.1)
                print(url, flush=True)
                sys.stdin.read()
            finally:
                worker.terminate()
                worker.wait()


if __name__ == "__main__":
    main()
