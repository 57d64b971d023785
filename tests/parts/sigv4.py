"""Signatures of AWS, version 4, as its description has them
(https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html). Only Python's standard library."""

import hashlib
import hmac
import time
import urllib.parse

REGION = "us-east-1"
UNSIGNED = "UNSIGNED-PAYLOAD"


def encode(text, safe=""):
    return urllib.parse.quote(text, safe=f"{safe}-_.~")


def authorization(keys, service, method, path, query, headers, digest):
    """The header `Authorization`, by the headers that are signed, with their names in small letters. `path` is canonical;
    `digest` is of the body, or UNSIGNED."""
    key_id, secret = keys
    parameters = sorted(
        (encode(name), encode(value)) for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True)
    )
    names = ";".join(sorted(headers))
    request = "\n".join([
        method,
        path,
        "&".join(f"{name}={value}" for name, value in parameters),
        *(f"{name}:{headers[name]}" for name in sorted(headers)),
        "",
        names,
        digest,
    ])
    date = headers["x-amz-date"]
    scope = f"{date[:8]}/{REGION}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"


def signed_for_s3(keys, method, host, target, more=None):
    """`more` headers and those that sign a request to S3 whose body nobody looks at."""
    path, _, query = target.partition("?")
    headers = (more or {}) | {
        "host": host, "x-amz-content-sha256": UNSIGNED, "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    }
    canonical = encode(urllib.parse.unquote(path), "/")
    return headers | {"Authorization": authorization(keys, "s3", method, canonical, query, headers, UNSIGNED)}
