#!/usr/bin/env python3
"""Has one engine change the table, in a process of its own, as `ask.py` has it asked.

  change.py ENGINE FILE     FILE is JSON: `lake`, where the table is; `statements`, with `{table}` for its name

Prints JSON: what each statement answered.
"""

import json
import sys

import engine
import service


def main():
    name, file = sys.argv[1:]
    with open(file) as asked:
        asked = json.load(asked)
    lake = service.as_lake(asked["lake"])
    changing = engine.connect(name, lake)
    try:
        answers = [changing.change(statement.format(table=changing.table)) for statement in asked["statements"]]
    finally:
        changing.close()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
