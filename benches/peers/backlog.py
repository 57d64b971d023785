"""Row 2 of the targets: a topic is read from its start into an empty table, by one system after the other."""

import contextlib
import os
import pathlib
import tempfile
import time

from place import HERE, Place, answer, make_table
from process import Failed
from watch import Watch

EVERY = 0.1  # seconds, between two looks at the catalog
# As long as no further row is committed.
STALLED = 300  # seconds


def measure(module, options, records, unique):
    """One run of one system. Every figure of `overall` counts from where it was told to begin, to the snapshot with
    the last record; those of `steady` from the first snapshot with records on."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        place = Place(pathlib.Path(folder), options.bootstrap, options.topic, options.interval, unique)
        make_table(place, module.NAME)
        with contextlib.closing(module.System(place, options)) as system, contextlib.closing(Watch(place.catalog)) as watch:
            start_up = prepared(system)
            commits = committed(system, watch, records)
            peak = system.process.peak_mib()
            totals = watch.totals()
        contents = answer(HERE / "tables.py", "contents", place.catalog)
    if contents["rows"] != records or contents["different"] != records:
        raise Failed(f"{module.TITLE} wrote {contents['rows']} rows, {contents['different']} of them different, "
                     f"of {records} records")
    last = commits[-1]
    return {
        "catch_up": module.NAME, "records": records, "start_up": start_up,
        "overall": {name: last[name] for name in ("records", "cpu_s", "wall_s")},
        "steady": {name: round(last[name] - commits[0][name], 2) for name in last} if len(commits) > 1 else None,
        "peak_rss_mib": peak, "files": totals["files"], "bytes": totals["bytes"], "commits": commits,
        "contents": contents, "load": os.getloadavg()[0],
    }


def prepared(system):
    """What it takes until the system is idle, before it is told to begin. None of it is counted elsewhere."""
    began = time.monotonic()
    system.prepare()
    return {"cpu_s": round(system.cpu(), 2), "wall_s": round(time.monotonic() - began, 2)}


def committed(system, watch, records):
    """Has the system begin, and returns the snapshots with records: how many there are then, and what was taken so far."""
    before, began = system.cpu(), time.monotonic()
    system.begin()
    commits, deadline = [], time.monotonic() + STALLED
    while not commits or commits[-1]["records"] < records:
        system.check()
        if time.monotonic() > deadline:
            raise system.process.failed(f"has committed no further row in {STALLED} s")
        time.sleep(EVERY)
        for snapshot in watch.look():
            there = int(snapshot["summary"].get("total-records", 0))
            if there > (commits[-1]["records"] if commits else 0):
                taken = {"cpu_s": round(system.cpu() - before, 2), "wall_s": round(time.monotonic() - began, 2)}
                commits.append({"records": there} | taken)
                deadline = time.monotonic() + STALLED
    return commits
