#!/usr/bin/env python3
"""Holds `examples/monitoring` against a live service, with a real Prometheus; prints what it found as JSON.

  monitoring.py 127.0.0.1:8484 --token TOKEN

- `promtool check metrics` on what the service answers, `check config` and `check rules` on the files, and `test rules`
  on the rules' own tests;
- a Prometheus of its own, with the shipped configuration but for the address and the token, collects every second;
- each expression of rules and dashboard is evaluated: `failed` are those that it refuses, `unknown` the metrics in them
  that the service does not have, `empty` the panels without a picture, `firing` the alerts whose expression holds.

Needs `prometheus` and `promtool`; only Python's standard library.
"""

import argparse
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "monitoring"
PATIENCE = 60  # seconds
# Seconds of scrapes that rates are taken over.
ENOUGH = 5
METRIC = re.compile(r"\b(?:tabletopic|process)_[a-z0-9_]+")


def promtool(*arguments, text=None, cwd=EXAMPLES):
    """What promtool has to say, if it is not content."""
    done = subprocess.run(["promtool", *arguments], input=text, cwd=cwd, capture_output=True)
    said = (done.stdout + done.stderr).decode()
    return {" ".join(arguments): said} if done.returncode else {}


def get(url, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as answer:
        return answer.headers["Content-Type"], answer.read()


def configuration(folder, options):
    """The shipped file with this service's address and token."""
    text = (EXAMPLES / "prometheus.yml").read_text()
    assert "localhost:8484" in text and "# authorization:" in text, text
    text = text.replace("localhost:8484", options.address).replace("[alerts.yml]", f'["{EXAMPLES}/alerts.yml"]')
    if options.token:
        (folder / "token").write_text(options.token)
        text = text.replace("# authorization:", "authorization:").replace("#   credentials_file", "  credentials_file")
        text = text.replace("/etc/prometheus/tabletopic-token", str(folder / "token"))
    text += "\nglobal: { scrape_interval: 1s, evaluation_interval: 1s }\n"
    file = folder / "prometheus.yml"
    file.write_text(text)
    return file


class Prometheus:
    def __init__(self, folder, file):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.log = folder / "log"
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.address}"],
            stdout=subprocess.DEVNULL, stderr=self.log.open("w"),
        )

    def ask(self, path, **parameters):
        _, body = get(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(body)["data"]

    def value(self, expression):
        return self.ask("query", query=expression)["result"]

    def wait(self, what, expression):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.value(expression):
                    return
            except OSError:  # not up yet
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"waited in vain for {what}: {self.log.read_text()}")
            time.sleep(0.1)


def alerts(prometheus):
    """Name and expression of each, as Prometheus has understood the rules."""
    groups = prometheus.ask("rules")["groups"]
    return [(rule["name"], rule["query"]) for group in groups for rule in group["rules"]]


def panels():
    """Title and expression of each target of the dashboard, with its variables filled in."""
    board = json.loads((EXAMPLES / "dashboard.json").read_text())
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers)), "two panels have one id"
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", f"{ENOUGH}s").replace("$table", ".*")
            assert "$" not in expression, expression
            yield f"{panel['title']} {target['refId']}", expression


def evaluate(prometheus):
    found = {"failed": {}, "empty": [], "firing": []}
    queries = [(name, query, "alert") for name, query in alerts(prometheus)]
    queries += [(name, query, "panel") for name, query in panels()]
    known = set(prometheus.ask("label/__name__/values"))
    found["unknown"] = sorted({metric for _, query, _ in queries for metric in METRIC.findall(query)} - known)
    for name, query, kind in queries:
        try:
            holds = bool(prometheus.value(query))
        except urllib.error.HTTPError as error:
            found["failed"][f"{name}: {query}"] = error.read().decode()
            continue
        if kind == "panel" and not holds:
            found["empty"].append(name)
        if kind == "alert" and holds:
            found["firing"].append(name)
    found["evaluated"] = len(queries)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="host:port of the service")
    parser.add_argument("--token")
    options = parser.parse_args()
    for program in "prometheus", "promtool":
        if not shutil.which(program):
            raise SystemExit(f"{program} is not on this machine: run `make parts` as root, or install it")

    content_type, metrics = get(f"http://{options.address}/metrics", options.token)
    complaints = promtool("check", "metrics", text=metrics)
    complaints |= promtool("check", "rules", "alerts.yml") | promtool("test", "rules", "alerts_test.yml")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        file = configuration(folder, options)
        complaints |= promtool("check", "config", str(file))
        prometheus = Prometheus(folder, file)
        try:
            prometheus.wait("scrapes", f'count_over_time(up{{job="tabletopic"}}[{ENOUGH}s]) >= {ENOUGH} and up == 1')
            found = evaluate(prometheus)
        finally:
            prometheus.process.terminate()
            prometheus.process.wait(PATIENCE)
    print(json.dumps({"content_type": content_type, "complaints": complaints, **found}))


if __name__ == "__main__":
    main()
