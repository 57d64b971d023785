#!/usr/bin/env python3
"""Has `tabletopic maintain` do its work in a Trino, in a process of its own.

  by_trino.py trino FILE     FILE is JSON: `lake`, where the table is; `runs`, a list of arguments for each time

Prints JSON: exit code, standard output and standard error of each time.
"""

import json
import subprocess
import sys

import service
from engine import trino


def main():
    _, file = sys.argv[1:]
    with open(file) as asked:
        asked = json.load(asked)
    lake = service.as_lake(asked["lake"])
    server = trino.Server(lake)
    try:
        done = [maintain(lake, server, arguments) for arguments in asked["runs"]]
    finally:
        server.close()
    json.dump(done, sys.stdout)


def maintain(lake, server, arguments):
    command = [lake.tabletopic, "maintain", lake.table, "--config", lake.config, "--engine", "trino",
               "--trino-url", server.url, "--catalog-name", "lake", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=service.TIMEOUT)
    return {"code": ran.returncode, "output": ran.stdout, "error": ran.stderr}


if __name__ == "__main__":
    main()
