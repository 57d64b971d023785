#!/usr/bin/env python3
"""Toxiproxy between a client and a server, for a test that starts it as its child: what a bad network does to connections.

  toxiproxy.py HOST:PORT    starts it in front of this server, waits until it serves, and prints its own HOST:PORT

Then it does what standard input says, an order a line, and prints each when it is done:

  poison TYPE STREAM CHANCE [NAME=NUMBER ...]
            one of Toxiproxy's toxics (https://github.com/Shopify/toxiproxy#toxics) from now on, with its attributes, in
            this share of the connections. STREAM is `upstream`, towards the server, or `downstream`
  heal      there is none any more

It ends with standard input. Needs what `provision` installs; only Python's standard library.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from kafka import CACHE, HOST, free_port, serves

PROXY = "between"
START_TIMEOUT = 60  # seconds


class Toxiproxy:
    """Its process, which is told by HTTP what to do."""

    def __init__(self, upstream, log):
        program = CACHE / "toxiproxy" / "server"
        if not program.exists():
            sys.exit(f"toxiproxy.py: it is not in {program.parent}: run tests/parts/provision")
        port = free_port()
        self.api = f"{HOST}:{port}"
        self.address = f"{HOST}:{free_port(besides=[port])}"
        command = [program, "-host", HOST, "-port", str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True, env=os.environ | {"LOG_LEVEL": "error"})
        deadline = time.monotonic() + START_TIMEOUT
        while not serves(self.api):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                log.seek(0)
                sys.exit(f"toxiproxy.py: it does not serve:\n{log.read().decode(errors='replace')[-4000:]}")
            time.sleep(0.02)
        self.tell("POST", "/proxies", {"name": PROXY, "listen": self.address, "upstream": upstream, "enabled": True})

    def tell(self, method, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"http://{self.api}{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=START_TIMEOUT) as answer:
            answer.read()

    def poison(self, kind, stream, chance, attributes):
        numbers = dict(attribute.split("=") for attribute in attributes)
        self.tell("POST", f"/proxies/{PROXY}/toxics", {
            "type": kind, "stream": stream, "toxicity": float(chance),
            "attributes": {name: int(number) for name, number in numbers.items()},
        })

    def end(self):
        self.process.kill()
        self.process.wait()


def obey(words, proxy):
    match words:
        case ["poison", kind, stream, chance, *attributes]:
            proxy.poison(kind, stream, chance, attributes)
        case ["heal"]:
            proxy.tell("POST", "/reset")
        case _:
            sys.exit(f"toxiproxy.py: no such order: {words}")
    return " ".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream", metavar="HOST:PORT")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryFile() as log:
        proxy = Toxiproxy(options.upstream, log)
        try:
            print(proxy.address, flush=True)
            for line in sys.stdin:
                print(obey(line.split(), proxy), flush=True)
        finally:
            proxy.end()


if __name__ == "__main__":
    main()
