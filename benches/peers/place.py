"""Where one system works, for one measurement: a folder with a catalog and a warehouse of its own, and a topic."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
READERS = ROOT / "tests/readers"

TABLE = "bench.bids"
# The name that all three know the catalog by: it stands in the catalog's rows.
CATALOG = "tabletopic"
HEAP = "1g"
# As `tabletopic` has it by default: else a request for nearly each record is most of what an even, low rate takes.
FETCH = {"fetch.min.bytes": "65536", "fetch.max.wait.ms": "250"}


@dataclasses.dataclass(frozen=True)
class Place:
    folder: pathlib.Path
    bootstrap: str
    topic: str
    interval_s: int  # from commit to commit
    unique: str  # for names at the broker

    @property
    def catalog(self):
        return self.folder / "catalog.db"

    @property
    def warehouse(self):
        return f"file://{self.folder}/warehouse"


# What the results show of configurations.
SHOWN = Place(pathlib.Path("/FOLDER"), "BROKER", "TOPIC", 0, "RUN")


def python(script, *arguments):
    """The command that runs a script with the readers' packages."""
    interpreter = os.environ.get("TABLETOPIC_PYTHON") or str(ROOT / ".cache/python/bin/python")
    return [interpreter, *map(str, (script, *arguments))]


def answer(script, *arguments):
    """What such a script prints, one JSON object."""
    done = subprocess.run(python(script, *arguments), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{pathlib.Path(script).name} {' '.join(map(str, arguments))} left with {done.returncode}")
    return json.loads(done.stdout)


def admin(place, *arguments):
    """What an operator does to a topic."""
    return answer(READERS / "admin.py", "--bootstrap", place.bootstrap, *arguments)


def make_table(place, system):
    """Makes the catalog, and the empty table that the system gets."""
    (place.folder / "warehouse").mkdir()
    answer(HERE / "tables.py", "make", place.catalog, "--for", system)
