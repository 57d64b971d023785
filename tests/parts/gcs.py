#!/usr/bin/env python3
"""An object store that speaks Google's dialect, for a test that starts it as its child.

  gcs.py TOKEN    starts it with an empty bucket `lake`, waits until it serves, and prints its endpoint and that of the
                  same bucket in S3's dialect, a line each

Google's XML API is S3's protocol with another way to log in
(https://cloud.google.com/storage/docs/interoperability). So this is the S3 server of `s3.py`, with somebody in front
who asks for Google's login, which is a bearer token, and passes requests on with S3's, which is a signature. All else,
parts of large objects and lists included, is the server's. It ends with standard input. Needs what `provision`
installs; only Python's standard library.
"""

import argparse
import contextlib
import http.client
import http.server
import signal
import sys
import threading

from kafka import HOST
from s3 import KEYS, serving
from sigv4 import signed_for_s3

KEPT = ("content-length", "content-type", "range", "if-match", "if-none-match", "content-md5")
HOP = ("connection", "transfer-encoding", "content-length")


def door(server, token):
    """Starts who is in front, and answers the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers["Authorization"] != f"Bearer {token}":
                return self.send(401, [("Content-Type", "application/xml")], b"<Error><Code>InvalidToken</Code></Error>")
            kept = {name: value for name, value in self.headers.items() if name.lower() in KEPT}
            behind = http.client.HTTPConnection(HOST, server.port, timeout=60)
            headers = signed_for_s3(KEYS, self.command, f"{HOST}:{server.port}", self.path)
            behind.request(self.command, self.path, body or None, kept | headers)
            with contextlib.closing(behind):
                response = behind.getresponse()
                return self.send(response.status, response.getheaders(), response.read())

        def send(self, status, headers, body):
            self.send_response_only(status)
            length = next((value for name, value in headers if name.lower() == "content-length"), len(body))
            for name, value in headers:
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length if self.command == "HEAD" else len(body))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    return listener.server_address[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("token")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with serving() as server:
        print(f"http://{HOST}:{door(server, options.token)}", f"http://{HOST}:{server.port}", sep="\n", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
