"""`tabletopic run`, as a service: one worker, and a memory budget as large as the others' heaps."""

import subprocess

from place import CATALOG, TABLE
from process import Process

NAME, TITLE = "tabletopic", "tabletopic"

# Without maintenance, since the others do none either.
CONFIG = """\
[kafka]
bootstrap = "{place.bootstrap}"
group = "{place.unique}"

[catalog]
type = "sqlite"
name = "{catalog}"
uri = "{place.catalog}"
warehouse = "{place.folder}/warehouse"

[workers]
count = 1

[memory]
budget = "1GiB"

[maintenance]
enabled = false

[admin]
listen = "off"

[[topic]]
name = "{place.topic}"
table = "{table}"
format = "json"
event_time = "dateTime"

[topic.commit]
interval = "{place.interval_s}s"
"""


def settings(place):
    """By the name of each file."""
    return {"tabletopic.toml": CONFIG.format(place=place, catalog=CATALOG, table=TABLE)}


def versions(options):
    return {"tabletopic": subprocess.check_output([options.binary, "--version"], text=True).split()[1]}


class System:
    """All it takes counts, from the start of the process."""

    def __init__(self, place, options):
        self.place, self.binary, self.process = place, options.binary, None

    def prepare(self):
        for name, text in settings(self.place).items():
            (self.place.folder / name).write_text(text)

    def begin(self):
        self.process = Process(NAME, [self.binary, "run", "--config", "tabletopic.toml"], self.place.folder)

    def cpu(self):
        return self.process.cpu() if self.process else 0.0

    def check(self):
        self.process.check()

    def close(self):
        if self.process:
            self.process.end()
