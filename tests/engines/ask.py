#!/usr/bin/env python3
"""Asks one engine, in a process of its own: engines crash, change the working folder, and take memory with them.

  ask.py ENGINE FILE     FILE is JSON: `lake`, where the table is; `columns`, its types; `questions`, lists of
                         conditions

Prints JSON: `rows`, in their canonical form, or `failed` with what the engine said; `counts`, one for each question, or
the same for each that failed.
"""

import json
import sys

import canonical
import engine
import service


def told(act):
    try:
        return act()
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}".strip()[:1000]}


def listed(ty):
    """A type as JSON has it, with tuples again."""
    if isinstance(ty, list):
        return tuple(map(listed, ty))
    return {name: listed(of) for name, of in ty.items()} if isinstance(ty, dict) else ty


def main():
    name, file = sys.argv[1:]
    with open(file) as asked:
        asked = json.load(asked)
    lake = service.as_lake(asked["lake"])
    columns = {column: listed(ty) for column, ty in asked["columns"].items()}
    answering = engine.connect(name, lake)
    try:
        rows = told(lambda: [canonical.row(columns, row) for row in answering.rows()])
        counts = [told(lambda: answering.count(conditions)) for conditions in asked["questions"]]
    finally:
        answering.close()
    json.dump({"rows": rows, "counts": counts}, sys.stdout)


if __name__ == "__main__":
    main()
