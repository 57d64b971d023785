#!/usr/bin/env python3
"""A token endpoint (OAuth 2.0 client credentials) for a test that starts it as its child.

  oidc.py DIR --secret SECRET [--life SECONDS]
                  answers at the URL that it prints, by TLS with the certificate that `certificates.py DIR` made; the
                  keys with which its tokens are verified are in DIR/jwks.json by then

Tokens are for the client `lake` with its secret. It then does what standard input says, a word a line, and prints each
word when it is done: `refuse` (every question is answered with 503), `answer`, and `count` (followed by how many tokens
it has given). It ends with standard input. Runs with the Python that `provision` installs.
"""

import argparse
import base64
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from kafka import HOST
from secured import AUDIENCE, ISSUER, USER

KEY_ID = "tests"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwks(key):
    """The public key as a JSON Web Key Set (RFC 7517)."""
    public = key.public_key().public_numbers()
    return {"keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": number(public.n), "e": number(public.e)},
    ]}


def token(key, life):
    """A JSON Web Token (RFC 7519) that says who the client is, for so many seconds."""
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "scope": "tables", "iat": now, "exp": now + life}
    signed = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encode(signature)}"


class Endpoint(http.server.BaseHTTPRequestHandler):
    refusing, given = False, 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        asked = urllib.parse.parse_qs(body).get("grant_type")
        login = "Basic " + base64.b64encode(f"{USER}:{self.server.secret}".encode()).decode()
        if Endpoint.refusing:
            self.answer(503, {"error": "temporarily_unavailable"})
        elif self.headers["Authorization"] != login:
            self.answer(401, {"error": "invalid_client"})
        elif asked != ["client_credentials"]:
            self.answer(400, {"error": "unsupported_grant_type"})
        else:
            Endpoint.given += 1
            life = self.server.life
            fresh = token(self.server.key, life)
            self.answer(200, {"access_token": fresh, "token_type": "Bearer", "expires_in": life})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--secret", required=True)
    parser.add_argument("--life", type=int, default=300)
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer((HOST, 0), Endpoint)
    server.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    server.secret, server.life = options.secret, options.life
    (options.folder / "jwks.json").write_text(json.dumps(jwks(server.key)))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(options.folder / "server.pem", options.folder / "server-key.pem")
    # The handshake is the thread's that answers, so that a client that hangs holds up no other.
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"https://{HOST}:{server.server_port}/token", flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "count":
            print(word, Endpoint.given, flush=True)
            continue
        Endpoint.refusing = {"refuse": True, "answer": False}[word]
        print(word, flush=True)


if __name__ == "__main__":
    main()
