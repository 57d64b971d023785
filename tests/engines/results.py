"""The page of results: results.jsonl has a line for each engine, catalog and store, the last one that was run;
results.md shows them, and what is known to differ."""

import datetime
import json
import pathlib
import subprocess

import engine

HERE = pathlib.Path(__file__).resolve().parent
LINES = HERE / "results.jsonl"
PAGE = HERE / "results.md"
WRITERS = "writers"
CELLS = ["told", "findings", "seconds", "on", "commit"]


def add(options, who, told, findings, seconds):
    """One more result: `told` says how much was compared."""
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, text=True).strip()
    new = {
        "on": datetime.date.today().isoformat(), "commit": commit, "who": who, "catalog": options.catalog,
        "store": options.store, "told": told, "findings": findings, "seconds": round(seconds),
    }
    lines = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    lines = [line for line in lines if place(line) != place(new)] + [new]
    lines.sort(key=place)
    LINES.write_text("".join(json.dumps(line) + "\n" for line in lines))
    PAGE.write_text(page(lines))


def place(line):
    return line["catalog"], line["store"], line["told"].endswith("compacted"), [*engine.ENGINES, WRITERS].index(line["who"])


def page(lines):
    text = [
        "# What the engines answered", "",
        "Written by `make engines`; [README.md](README.md) says what is compared. A finding is an answer that differs",
        "from what was produced and is not listed below.", "",
        "| catalog | warehouse | | compared | findings | seconds | on | commit |", "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        about = engine.ENGINES.get(line["who"])
        label = about.label if about else "Spark and Trino writing beside the ingest"
        cells = [line["catalog"], line["store"], label, *(line[key] for key in CELLS)]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    text += ["", "## What differs, and why", "",
             "Each is tried by every run, and a finding once it does not differ any more.", "",
             "| engine | where | why |", "|---|---|---|"]
    for about in engine.ENGINES.values():
        for where, why in about.told():
            text.append(f"| {about.label} | {where} | {why} |")
    text += ["", "No line: the engine answered everything as it should be."]
    return "\n".join(text) + "\n"
