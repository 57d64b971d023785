#!/usr/bin/env python3
"""A schema registry (Apicurio, in memory) for a test that starts it as its child.

  registry.py [--port PORT]   starts it, waits until it serves, prints the URL of Confluent's API
  registry.py --tls DIR       the same, and then prints a second URL, for TLS with the certificates that
                              `certificates.py DIR` made: only clients that show one are answered there

Then it does what standard input says, a word a line, and prints each word when it is done: `pause` (it answers nobody,
as a machine that hangs) and `resume`. It ends with standard input, so that it does not outlive a test that panics.
Needs Java and what `provision` installs; only Python's standard library.
"""

import argparse
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
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


def forward(source, target):
    try:
        while some := source.recv(65536):
            target.sendall(some)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # One of the two has hung up.


def serve_tls(folder, port):
    """What stands in front of a registry in production: it ends TLS, and asks clients who they are."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server((HOST, 0))

    def answer(plain):
        try:
            client = context.wrap_socket(plain, server_side=True)
            behind = socket.create_connection((HOST, port))
        except OSError:
            plain.close()
            return
        with client, behind:
            back = threading.Thread(target=forward, args=(behind, client), daemon=True)
            back.start()
            forward(client, behind)
            back.join()

    def accept():
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="by default one that is free")
    parser.add_argument("--tls", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    port = options.port or free_port()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.NamedTemporaryFile("w", prefix="registry-", suffix=".log") as log:
        process = start(port, log)
        try:
            api = "apis/ccompat/v7"
            url = f"http://{HOST}:{port}/{api}"
            wait(process, url, log)
            print(url, flush=True)
            if options.tls:
                print(f"https://{HOST}:{serve_tls(options.tls, port)}/{api}", flush=True)
            for line in sys.stdin:
                word = line.strip()
                os.kill(process.pid, {"pause": signal.SIGSTOP, "resume": signal.SIGCONT}[word])
                print(word, flush=True)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
