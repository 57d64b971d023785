"""Row 5 of the targets: records come at an even rate, and all systems write them at the same time. How long is it from
the record to the snapshot that has it, and what does that take?"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

from backlog import EVERY, prepared
from place import HERE, READERS, Place, answer, make_table, python
from process import Failed, end_with_parent
from watch import Watch

WINDOW = 60  # seconds
# The producer goes on a little, so that the last window is whole.
TAIL = 5  # seconds
# After the producer has ended, until every record is in a table.
DRAINED = 180  # seconds


class Measured:
    """One system, from when it was told to begin."""

    def __init__(self, module, place, options, closing):
        self.module, self.place = module, place
        self.system = closing.enter_context(contextlib.closing(module.System(place, options)))
        self.watch = closing.enter_context(contextlib.closing(Watch(place.catalog)))
        # When each snapshot was seen, in milliseconds since the Unix epoch; and CPU seconds at the ends of windows.
        self.seen, self.cpu, self.records = {}, [], 0

    def look(self):
        self.system.check()
        for snapshot in self.watch.look():
            self.seen[snapshot["snapshot-id"]] = time.time_ns() // 1_000_000
            self.records = int(snapshot["summary"].get("total-records", self.records))

    def figures(self, since, windows, produced):
        """After the system has ended."""
        seen = self.place.folder / "seen.json"
        seen.write_text(json.dumps(self.seen))
        found = answer(HERE / "tables.py", "delays", self.place.catalog, "--seen", seen, "--from", since,
                       "--windows", windows, "--seconds", WINDOW)
        if any(count != produced for count in found["whole"].values()):
            raise Failed(f"{self.module.TITLE} has not the {produced} records that were produced: {found['whole']}")
        cpu = [round(after - before, 2) for before, after in zip(self.cpu, self.cpu[1:])]
        each = [window | {"cpu_s": taken} for window, taken in zip(found["windows"], cpu, strict=True)]
        return found["measured"] | {"cpu_s": round(sum(cpu), 2), "windows": each}


def measure(modules, options, unique):
    """A line for each system."""
    topic = f"{unique}-records"
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        folder = pathlib.Path(folder)
        answer(READERS / "admin.py", "--bootstrap", options.bootstrap, "create", topic,
               "--partitions", options.fresh_partitions, "--config", "retention.ms=-1")
        with contextlib.ExitStack() as closing:
            measured = []
            for module in modules:
                own = folder / module.NAME
                own.mkdir()
                place = Place(own, options.bootstrap, topic, options.fresh_interval, f"{unique}-{module.NAME}")
                make_table(place, module.NAME)
                measured.append(Measured(module, place, options, closing))
            for each in measured:
                prepared(each.system)
            for each in measured:
                each.system.begin()
            since, windows, told = run(measured, topic, options, folder)
            peaks = [each.system.process.peak_mib() for each in measured]
        lines = [
            {"freshness": each.module.NAME, "commits": len(each.seen), "peak_rss_mib": peak, "produced": told,
             "load": os.getloadavg()[0]} | each.figures(since, windows, told["records"])
            for each, peak in zip(measured, peaks)
        ]
    answer(READERS / "admin.py", "--bootstrap", options.bootstrap, "delete", topic)
    return lines


def run(measured, topic, options, folder):
    """Produces, and looks at all tables until they have every record. When the first window began, in milliseconds since
    the Unix epoch; how many windows there are; and what the producer says."""
    ends = [options.warm_up * 60 + number * WINDOW for number in range(options.minutes * 60 // WINDOW + 1)]
    began, since = time.monotonic(), None
    with producing(topic, options, ends[-1] + TAIL, folder) as produced:
        while (told := produced()) is None or any(each.records < told["records"] for each in measured):
            if time.monotonic() > began + ends[-1] + TAIL + DRAINED:
                raise Failed("\n".join(str(each.system.process.failed(f"has {each.records} records")) for each in measured))
            for each in measured:
                each.look()
            at = len(measured[0].cpu)
            if at < len(ends) and time.monotonic() >= began + ends[at]:
                since = since or time.time_ns() // 1_000_000
                for each in measured:
                    each.cpu.append(each.system.cpu())
            time.sleep(EVERY)
    return since, len(ends) - 1, told


@contextlib.contextmanager
def producing(topic, options, seconds, folder):
    """Runs the producer. A function that says what it said at its end; nothing before."""
    command = python(HERE / "pace.py", topic, "--bootstrap", options.bootstrap, "--rate", options.rate,
                     "--seconds", seconds, "--idle", options.idle)
    output, log = folder / "pace.json", folder / "pace.log"
    with output.open("wb") as stdout, log.open("wb") as stderr:
        producer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                    start_new_session=True, preexec_fn=end_with_parent)

    def produced():
        if producer.poll() is None:
            return None
        if producer.returncode:
            raise Failed(f"the producer left with {producer.returncode}:\n{log.read_text()[-4000:]}")
        return json.loads(output.read_text())

    try:
        yield produced
    finally:
        producer.terminate()
        producer.wait()
