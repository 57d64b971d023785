#!/usr/bin/env python3
"""A schema registry (Apicurio, in memory) for a test that starts it as its child.

  registry.py [--port PORT]   starts it, waits until it serves, prints the URL of Confluent's API

Then it does what standard input says, a word a line, and prints each word when it is done: `pause` (it answers nobody,
as a machine that hangs) and `resume`. It ends with standard input, so that it does not outlive a test that panics.
Needs Java and what `provision` installs; only Python's standard library.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from kafka import CACHE, HOST, free_port

START_TIMEOUT = 60  # seconds


def start(port, log):
    jars = list((CACHE / "registry").glob("*-runner.jar"))
    if not jars:
        sys.exit(f"registry.py: no registry in {CACHE / 'registry'}: run tests/parts/provision")
    command = [
        "java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        f"-Dquarkus.http.host={HOST}", f"-Dquarkus.http.port={port}", "-jar", jars[0],
    ]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def wait(process, url, log):
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/subjects", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                sys.exit(f"registry.py: it does not serve:\n{pathlib.Path(log.name).read_text()[-4000:]}")
            time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="by default one that is free")
    port = parser.parse_args().port or free_port()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.NamedTemporaryFile("w", prefix="registry-", suffix=".log") as log:
        process = start(port, log)
        try:
            url = f"http://{HOST}:{port}/apis/ccompat/v7"
            wait(process, url, log)
            print(url, flush=True)
            for line in sys.stdin:
                word = line.strip()
                os.kill(process.pid, {"pause": signal.SIGSTOP, "resume": signal.SIGCONT}[word])
                print(word, flush=True)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
