"""What a REST catalog does that signs requests for tables' files, for `gateway.py`: `signRequest` of Iceberg's REST
specification, and `s3-signer-open-api.yaml`, which was before it. Only Python's standard library."""

import collections
import json
import urllib.parse
import xml.etree.ElementTree

from sigv4 import REGION, signed_for_s3

PATH = "/v1/aws/s3/sign"


class Signer:
    """Signs requests for tables' files, as a catalog does whose clients are to have no keys. It is as strict as the best
    of them: nothing is signed but what is about files of tables that it has offered this for."""

    def __init__(self, ticket, keys, way):
        self.ticket, self.keys, self.way = ticket, keys, way
        self.refused = None
        self.folders = set()
        self.signed = collections.Counter()

    def offered(self, table):
        self.folders.add(table["metadata"]["location"].removeprefix("s3:/").rstrip("/") + "/")
        told = {"s3.remote-signing-enabled": "true"}
        if self.way == "endpoint":
            told["signer.endpoint"] = f"{PATH}?ticket={self.ticket}"
        else:
            told_too = {"properties": {"ticket": self.ticket}, "headers": {"X-Ticket": [self.ticket]}}
            table["remote-signing-config"] = told_too
        return table | {"config": told}

    def is_asked(self, method, path):
        """`POST .../namespaces/NAMESPACE/tables/TABLE/sign`, or where it was before."""
        parts = path.split("/")
        return method == "POST" and (path == PATH or len(parts) > 3 and parts[-3] == "tables" and parts[-1] == "sign")

    def knows(self, target, headers, asked):
        parts = urllib.parse.urlsplit(target)
        if self.way == "endpoint":
            return parts.path == PATH and urllib.parse.parse_qs(parts.query).get("ticket") == [self.ticket]
        return (parts.path != PATH and headers.get("x-ticket") == self.ticket
                and asked["properties"].get("ticket") == self.ticket)

    def answer(self, target, headers, body):
        """Status, the value of Cache-Control, and what is said."""
        asked = json.loads(body)
        if not self.knows(target, headers, asked):
            return refused("no such ticket")
        method, uri = asked["method"], urllib.parse.urlsplit(asked["uri"])
        if asked["region"] != REGION or asked.get("provider", "s3") != "s3":
            return refused("another region or store")
        paths = [urllib.parse.unquote(uri.path)]
        if method == "POST" and "delete" in urllib.parse.parse_qs(uri.query, keep_blank_values=True):
            keys = [key.text for key in xml.etree.ElementTree.fromstring(asked["body"]).iterfind(".//{*}Key")]
            paths = [f"{paths[0].rstrip('/')}/{key}" for key in keys]
        if not all(any(path.startswith(folder) for folder in self.folders) for path in paths):
            return refused(f"no file of a table: {paths}")
        if self.refused and self.refused in asked["uri"]:
            return refused("the test says no")
        self.signed[f"{method} delete" if "body" in asked else method] += 1
        more = {name.lower(): ",".join(values) for name, values in asked["headers"].items()}
        target = f"{uri.path}?{uri.query}" if uri.query else uri.path
        signed = signed_for_s3(self.keys, method, uri.netloc, target, more)
        said = {"uri": asked["uri"], "headers": {name: [value] for name, value in signed.items()}}
        return 200, "private" if method in ("GET", "HEAD") else "no-cache", said


def refused(message):
    return 403, "no-cache", {"error": {"message": message, "type": "ForbiddenException", "code": 403}}
