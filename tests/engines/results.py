"""The page of results: results.jsonl has a line for each engine, catalog and store, the last one that was run;
results.md shows them, and what is known to differ."""

import datetime
import json
import pathlib
import re
import subprocess
import sys

import engine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LINES = HERE / "results.jsonl"
PAGE = HERE / "results.md"
WRITERS, MAINTAINED = "writers", "maintained"
# Results that are of no one engine.
LABELS = {
    WRITERS: "Spark and Trino writing beside the ingest",
    MAINTAINED: "tables of Spark, Flink and PyIceberg before and after maintenance",
}
CELLS = ["told", "findings", "seconds", "on", "commit"]


def add(options, who, told, findings, seconds):
    """One more result: `told` says how much was compared."""
    commit = commit_of(options.binary)
    new = {
        "on": datetime.date.today().isoformat(), "commit": commit, "who": who, "catalog": options.catalog,
        "store": options.store, "told": told, "findings": findings, "seconds": round(seconds),
    }
    lines = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    lines = [line for line in lines if place(line) != place(new)] + [new]
    lines.sort(key=place)
    LINES.write_text("".join(json.dumps(line) + "\n" for line in lines))
    PAGE.write_text(page(lines))


def commit_of(binary):
    """The commit that last changed what the binary is made of, by the list of sources that cargo leaves beside it; with a
    `+` where what it is made of is not committed."""
    sources = binary.with_suffix(".d")
    if not sources.exists():
        sys.exit(f"{sources} does not tell what {binary} is made of: write the results of one that cargo has built")
    # Names end with a space or a colon, and spaces in them are escaped.
    names = re.findall(r"(?:\\.|[^\s\\])+", sources.read_text().partition(": ")[2])
    made_of = [pathlib.Path(re.sub(r"\\(.)", r"\1", name)) for name in names]
    made_of = [ROOT / file for file in made_of if (ROOT / file).is_relative_to(ROOT)] + [ROOT / "Cargo.lock"]
    built = binary.stat().st_mtime
    newer = [file for file in made_of if not file.exists() or file.stat().st_mtime > built]
    if newer or len(made_of) < 2:
        sys.exit(f"{binary} was not built from what is in {ROOT} now, such as {newer[:1]}: cargo build")

    def git(*arguments):
        command = ["git", "--literal-pathspecs", *arguments, "--", *map(str, made_of)]
        return subprocess.check_output(command, cwd=ROOT, text=True).strip()

    return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")


def place(line):
    return line["catalog"], line["store"], line["told"].endswith("compacted"), [*engine.ENGINES, *LABELS].index(line["who"])


def page(lines):
    text = [
        "# What the engines answered", "",
        "Written by `make engines`; [README.md](README.md) says what is compared. A finding is an answer that differs",
        "from what was produced and is not listed below.", "",
        "| catalog | warehouse | | compared | findings | seconds | on | commit |", "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        about = engine.ENGINES.get(line["who"])
        label = about.label if about else LABELS[line["who"]]
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
