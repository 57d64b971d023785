#!/usr/bin/env python3
"""An S3 server (versitygw) for a test that starts it as its child, and a proxy in front of it that makes trouble.

  s3.py [--seed N]   starts both with an empty bucket `lake`, waits until they serve, and prints the endpoint of the
                     server, that of the proxy, and the folder that the server keeps the bucket in, a line each

  s3.py with -- CMD  runs CMD beside the server alone, with AWS's variables set so that clients find it, and leaves with
                     the exit code of CMD

Without a command it does what standard input says, an order a line, and prints one line for each when it is done:

  fail CHANCE    this share of the requests to the proxy goes wrong from now on: three of four are answered 503 SlowDown,
                 the fourth is carried out and its answer lost
  hold           the proxy answers no part of an upload but the first; `held` waits until one is held, and after
                 `release` no more are
  down, up       the server is killed, and started again
  keys ID KEY    the server knows these keys and no others
  seen           and behind it JSON: requests that the proxy passed on by kind, and the headers of those that write

It ends with standard input, so that it does not outlive a test that panics. Needs what `provision` installs; only
Python's standard library.
"""

import argparse
import collections
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from kafka import CACHE, HOST, free_port, serves

BUCKET = "lake"
KEYS = ("test-key", "test-secret")
START_TIMEOUT = 60  # seconds

SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""

# Headers that a writer's settings lead to.
NOTED = ("x-amz-storage-class", "x-amz-tagging", "x-amz-server-side-encryption",
         "x-amz-server-side-encryption-aws-kms-key-id")


class Server:
    """versitygw over a folder. What S3 knows of an object beside its bytes goes to a second one, because not every file
    system has room for it."""

    def __init__(self, folder):
        self.port = free_port()
        self.keys = KEYS
        self.bucket = folder / "buckets" / BUCKET
        self.metadata = folder / "metadata"
        self.log = folder / "log"
        self.process = None
        for made in (self.bucket, self.metadata):
            made.mkdir(parents=True)

    def up(self):
        program = CACHE / "s3" / "versitygw"
        if not program.exists():
            sys.exit(f"s3.py: no server in {program.parent}: run tests/parts/provision")
        command = [program, "--port", f"{HOST}:{self.port}", "--keep-alive", "--quiet",
                   "posix", "--sidecar", self.metadata, self.bucket.parent]
        environment = os.environ | {"ROOT_ACCESS_KEY": self.keys[0], "ROOT_SECRET_KEY": self.keys[1]}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, env=environment)
        deadline = time.monotonic() + START_TIMEOUT
        while not serves(f"{HOST}:{self.port}"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.down()
                sys.exit(f"s3.py: it does not serve:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def down(self):
        self.process.kill()
        self.process.wait()


class Trouble:
    """What the proxy does to requests, and what it has seen of them."""

    def __init__(self, seed):
        self.lock = threading.Lock()
        self.dice = random.Random(seed)
        self.chance = 0.0
        self.holding = False
        self.held = threading.Event()
        self.kinds = collections.Counter()
        self.headers = {name: collections.Counter() for name in NOTED}

    def verdict(self):
        """None, `refuse` or `lose`."""
        with self.lock:
            if self.dice.random() >= self.chance:
                return None
            return "refuse" if self.dice.random() < 0.75 else "lose"

    def note(self, method, query, headers):
        with self.lock:
            self.kinds[kind_of(method, query)] += 1
            # Parts have what the upload was begun with.
            if method == "PUT" and "partNumber" not in query or "uploads" in query and method == "POST":
                for name in NOTED:
                    self.headers[name][headers.get(name, "")] += 1


def kind_of(method, query):
    if "uploadId" in query or "uploads" in query:
        return "list-uploads" if method == "GET" else "multipart"
    if method == "POST" and "delete" in query:
        return "delete"
    return "list" if method == "GET" and "list-type" in query else method.lower()


def proxy(server, trouble):
    """Starts it, and answers its port. Requests go on as they are, the host's name included: they are signed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1
        behind = None

        def answer(self):
            if "Transfer-Encoding" in self.headers:
                return self.send(411, "Length Required", [], b"")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)
            if trouble.holding and query.get("partNumber", ["1"]) != ["1"]:
                trouble.held.set()
                threading.Event().wait()
            verdict = trouble.verdict()
            if verdict == "refuse":
                return self.send(503, "Slow Down", [("Content-Type", "application/xml")], SLOW_DOWN)
            trouble.note(self.command, query, self.headers)
            try:
                status, reason, headers, answer = self.ask(body)
            except (OSError, http.client.HTTPException):
                self.behind = None
                verdict = "lose"
            if verdict == "lose":
                self.close_connection = True
                return None
            return self.send(status, reason, headers, answer)

        def ask(self, body):
            if self.behind is None:
                self.behind = http.client.HTTPConnection(HOST, server.port, timeout=60)
            self.behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    self.behind.putheader(name, value)
            self.behind.endheaders(body or None)
            response = self.behind.getresponse()
            return response.status, response.reason, response.getheaders(), response.read()

        def send(self, status, reason, headers, body):
            self.send_response_only(status, reason)
            hop = ("connection", "transfer-encoding", "content-length")
            length = next((value for name, value in headers if name.lower() == "content-length"), len(body))
            for name, value in headers:
                if name.lower() not in hop:
                    self.send_header(name, value)
            self.send_header("Content-Length", length if self.command == "HEAD" else len(body))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # A client that was killed hangs up in the midst of anything.

    listener = Quiet((HOST, 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    return listener.server_address[1]


def obey(words, server, trouble):
    match words:
        case ["fail", chance]:
            trouble.chance = float(chance)
        case ["hold"]:
            trouble.holding = True
        case ["held"]:
            if not trouble.held.wait(START_TIMEOUT):
                sys.exit("s3.py: no part has come")
        case ["release"]:
            trouble.holding = False
        case ["down"]:
            server.down()
        case ["up"]:
            server.up()
        case ["keys", key_id, key]:
            server.down()
            server.keys = (key_id, key)
            server.up()
        case ["seen"]:
            with trouble.lock:
                return "seen " + json.dumps({"kinds": trouble.kinds, "headers": trouble.headers})
        case _:
            sys.exit(f"s3.py: no such order: {words}")
    return " ".join(words)


def environment(server):
    """Variables that have clients find the server."""
    key_id, key = KEYS
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{server.port}", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": key,
    }


@contextlib.contextmanager
def serving():
    """A server with an empty bucket, whose folder goes with it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="s3-"))
    server = Server(folder)
    try:
        server.up()
        yield server
    finally:
        if server.process:
            server.down()
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("mode", nargs="?", choices=["with"])
    parser.add_argument("cmd", nargs="*")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with serving() as server:
        if options.mode:
            sys.exit(subprocess.run(options.cmd, env=os.environ | environment(server)).returncode)
        trouble = Trouble(options.seed)
        port = proxy(server, trouble)
        print(f"http://{HOST}:{server.port}", f"http://{HOST}:{port}", server.bucket, sep="\n", flush=True)
        for line in sys.stdin:
            print(obey(line.split(), server, trouble), flush=True)


if __name__ == "__main__":
    main()
