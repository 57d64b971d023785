#!/usr/bin/env python3
"""A gateway in front of a REST catalog for a test that starts it as its child: it loses answers, asks for logins that the
catalog behind it does not know, and keeps account.

  gateway.py URL [--tls DIR] [--clients] [--secret SECRET] [--life SECONDS] [--signed SERVICE] [--keys LIFETIME]
             [--credentials]
                   answers at the URL that it prints, from the catalog at URL. By TLS with the certificate that
                   `certificates.py DIR` made; with --clients only to those who show one of the same authority. With
                   --secret it gives tokens for the client `lake` at /v1/oauth/tokens, which are good for so many
                   seconds, and answers nobody without one. With --signed it answers only requests that are signed as
                   AWS has it, for this service in the region `us-east-1`, with the keys `test-key` and `test-secret`.
                   With --keys clients are told that idempotency keys are good for so long, or with `none` that the
                   catalog takes none, whatever it says itself. With --credentials there is an endpoint that gives new
                   credentials for a table's files, and says so.

Then it does what standard input says, an order a line, and prints each when it is done:

  lose KIND...     what becomes of the next commits, one KIND for each: `request` (the catalog never gets it), `answer`
                   (it is carried out, and the connection cut), `late` (cut, and carried out after the next load), or a
                   status such as `504` (carried out, and answered with that)
  left             and behind it how many of them are still to come
  busy N           the next N requests that are no commits are answered with 503 and a Retry-After
  expire           tokens that were given so far are refused
  vend ID KEY SECONDS
                   from now on tables come with credentials for their files, which end after so many seconds
  sign ID KEY WAY  from now on they come with the offer to sign each request for their files with this key instead, and
                   with a ticket to show, in the place of earlier ones. WAY says how: `endpoint` (at a path with the ticket
                   in it, as s3-signer-open-api.yaml had it) or `table` (at the table's own endpoint, with the ticket in a
                   header and a property, as `remote-signing-config` tells)
  refuse TEXT      requests whose URI has this in it are not signed; `refuse -` is none of them
  seen             and behind it JSON: requests by method and path, answers by status, method and path, idempotency keys
                   with how often each came, headers of the last request, tokens that were given, methods that were signed

It ends with standard input, so that it does not outlive a test that panics. Only Python's standard library.
"""

import argparse
import collections
import hashlib
import http.client
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time
import urllib.parse

from signer import Signer
from sigv4 import authorization, encode

HOST = "127.0.0.1"
CLIENT = "lake"
KEYS = ("test-key", "test-secret")


class State:
    """What it is to do, and what it has seen."""

    def __init__(self, options):
        self.lock = threading.Lock()
        self.secret, self.life, self.service = options.secret, options.life, options.signed
        self.losses = collections.deque()
        self.busy = 0
        self.late = None
        self.tokens = {}
        self.given = 0
        self.vended, self.renews = None, options.credentials
        self.signer, self.tickets = None, 0
        self.requests = collections.Counter()
        self.answers = collections.Counter()
        self.lifetime = options.keys
        self.keys = collections.Counter()
        self.headers = {}

    def loss(self, is_commit):
        with self.lock:
            return self.losses.popleft() if is_commit and self.losses else None

    def is_busy(self, is_commit):
        with self.lock:
            busy = self.busy > 0 and not is_commit
            self.busy -= busy
            return busy

    def knows(self, method, path, headers, body):
        if self.service is not None:
            expected = signature(self.service, method, path, headers, body)
            return expected is not None and headers.get("authorization") == expected
        if self.secret is None:
            return True
        kind, _, token = headers.get("authorization", "").partition(" ")
        with self.lock:
            return kind == "Bearer" and self.tokens.get(token, 0) > time.monotonic()

    def introduced(self, answer):
        """What the catalog says of itself, and what it is taken for here."""
        told = json.loads(answer)
        if self.lifetime is not None:
            told.pop("idempotency-key-lifetime", None)
        if self.lifetime not in (None, "none"):
            told["idempotency-key-lifetime"] = self.lifetime
        if self.renews:
            told["endpoints"].append("GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials")
        return json.dumps(told).encode()

    def with_credentials(self, answer):
        """A table, as the catalog has answered it, with what its files are to be reached by."""
        if b'"metadata-location"' not in answer:
            return answer
        if self.signer is not None:
            return json.dumps(self.signer.offered(json.loads(answer))).encode()
        if self.vended is None:
            return answer
        key_id, key, seconds = self.vended
        table = json.loads(answer)
        config = {"s3.access-key-id": key_id, "s3.secret-access-key": key,
                  "s3.session-token-expires-at-ms": str(int((time.time() + seconds) * 1000))}
        table["storage-credentials"] = [{"prefix": table["metadata"]["location"], "config": config}]
        return json.dumps(table).encode()

    def give(self, form):
        """The answer to who asks for a token."""
        asked = {name: values[0] for name, values in urllib.parse.parse_qs(form.decode()).items()}
        expected = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": self.secret}
        if any(asked.get(name) != value for name, value in expected.items()) or "scope" not in asked:
            return 401, {"error": "invalid_client", "error_description": "Credentials given were invalid"}
        with self.lock:
            self.given += 1
            token = f"token-{self.given}"
            self.tokens[token] = time.monotonic() + self.life
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": self.life}


def signature(service, method, path, headers, body):
    """What AWS expects as the header `Authorization`; nothing where not all is signed that has to be."""
    parts = urllib.parse.urlsplit(path)
    told = headers.get("authorization", "").partition("SignedHeaders=")[2].partition(",")[0].split(";")
    values = {name: " ".join(value.split()) for name, value in headers.items()}
    needed = {"host", "x-amz-date"} | {name for name in values if name.startswith("x-amz-")}
    if not needed <= set(told):
        return None
    signed = {name: values.get(name, "") for name in told}
    # Encoded once more than it is sent, as for all services but S3.
    canonical = "/".join(encode(name) for name in parts.path.split("/"))
    digest = hashlib.sha256(body).hexdigest()
    return authorization(KEYS, service, method, canonical, parts.query, signed, digest)


def is_commit(method, path):
    """`POST .../namespaces/NAMESPACE/tables/TABLE`"""
    parts = urllib.parse.urlsplit(path).path.split("/")
    return method == "POST" and len(parts) > 2 and parts[-2] == "tables"


def ask(behind, method, path, headers, body):
    connection = http.client.HTTPConnection(behind.hostname, behind.port, timeout=60)
    own = ("authorization", "host", "connection", "content-length")
    headers = {name: value for name, value in headers.items() if name.lower() not in own}
    connection.request(method, behind.path.rstrip("/") + path, body or None, headers)
    response = connection.getresponse()
    answer = response.status, response.getheaders(), response.read()
    connection.close()
    return answer


def handler(behind, state):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urllib.parse.urlsplit(self.path).path
            if path == "/v1/oauth/tokens" and state.secret is not None:
                status, given = state.give(body)
                return self.say(status, given)
            headers = {name.lower(): value for name, value in self.headers.items()}
            with state.lock:
                state.requests[f"{self.command} {path}"] += 1
                state.headers = headers
                if "idempotency-key" in headers:
                    state.keys[headers["idempotency-key"]] += 1
            if not state.knows(self.command, self.path, headers, body):
                return self.refuse(401, "NotAuthorizedException", "Not authorized")
            commits = is_commit(self.command, self.path)
            if state.is_busy(commits):
                return self.refuse(503, "SlowDownException", "Busy", [("Retry-After", "0")])
            if state.signer is not None and state.signer.is_asked(self.command, path):
                with state.lock:
                    status, cached, said = state.signer.answer(self.path, headers, body)
                return self.say(status, said, [("Cache-Control", cached)])
            if path.endswith("/credentials") and state.renews:
                table = ask(behind, "GET", path.removesuffix("/credentials"), {}, b"")
                given = json.loads(state.with_credentials(table[2]))["storage-credentials"]
                return self.say(200, {"storage-credentials": given})
            request = (self.command, self.path, dict(self.headers.items()), body)
            loss = state.loss(commits)
            if loss in ("request", "late"):
                state.late = request if loss == "late" else state.late
                self.close_connection = True
                return None
            status, headers, answer = ask(behind, *request)
            if loss == "answer":
                self.close_connection = True
                return None
            if loss is not None:
                return self.refuse(int(loss), "GatewayException", "the catalog does not answer")
            if path == "/v1/config" and status == 200:
                answer = state.introduced(answer)
            self.send(status, headers, state.with_credentials(answer))
            if self.command == "GET" and state.late and path == urllib.parse.urlsplit(state.late[1]).path:
                late, state.late = state.late, None
                ask(behind, *late)
            return None

        def refuse(self, status, kind, message, headers=()):
            self.say(status, {"error": {"message": message, "type": kind, "code": status}}, headers)

        def say(self, status, body, headers=()):
            self.send(status, [("Content-Type", "application/json"), *headers], json.dumps(body).encode())

        def send(self, status, headers, body):
            with state.lock:
                state.answers[f"{status} {self.command} {urllib.parse.urlsplit(self.path).path}"] += 1
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", len(body))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()

        do_GET = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass

    return Handler


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # A client that was killed hangs up in the midst of anything.


def obey(words, state):
    with state.lock:
        match words:
            case ["lose", *kinds]:
                state.losses.extend(kinds)
            case ["left"]:
                return f"left {len(state.losses)}"
            case ["busy", count]:
                state.busy = int(count)
            case ["vend", key_id, key, seconds]:
                state.vended = (key_id, key, int(seconds))
            case ["sign", key_id, key, way]:
                state.tickets += 1
                state.signer = Signer(f"ticket-{state.tickets}", (key_id, key), way)
            case ["refuse", text]:
                state.signer.refused = None if text == "-" else text
            case ["expire"]:
                state.tokens.clear()
            case ["seen"]:
                told = {"requests": state.requests, "answers": state.answers, "keys": state.keys,
                        "headers": state.headers, "tokens": state.given,
                        "signed": state.signer.signed if state.signer else {}}
                return "seen " + json.dumps(told)
            case _:
                sys.exit(f"gateway.py: no such order: {words}")
    return " ".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("--tls", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--clients", action="store_true")
    parser.add_argument("--secret")
    parser.add_argument("--life", type=int, default=3600)
    parser.add_argument("--signed", metavar="SERVICE")
    parser.add_argument("--keys", metavar="LIFETIME")
    parser.add_argument("--credentials", action="store_true")
    options = parser.parse_args()
    state = State(options)
    listener = Quiet((HOST, 0), handler(urllib.parse.urlsplit(options.url), state))
    scheme = "http"
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls / "server.pem", options.tls / "server-key.pem")
        if options.clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(options.tls / "ca.pem")
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        scheme = "https"
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(f"{scheme}://{HOST}:{listener.server_address[1]}", flush=True)
    for line in sys.stdin:
        print(obey(line.split(), state), flush=True)


if __name__ == "__main__":
    main()
