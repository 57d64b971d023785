#!/usr/bin/env python3
"""A cluster of one Apache Kafka broker (KRaft) in a folder of its own.

  kafka.py up DIR        starts it, waits until it serves, prints its bootstrap address
  kafka.py down DIR      stops it; its data stay, and `up` starts it again on the same port
  kafka.py kill DIR      the same without giving it time to write anything (SIGKILL)
  kafka.py serve DIR     `up`, then `down` when standard input closes: for a test that starts a broker as its child,
                         so that the broker does not outlive a test that panics or is killed
  kafka.py cut DIR TOPIC PARTITION OFFSET
                         while the broker is down: takes the records of a log at or above the offset away, as an unclean
                         leader election does. A batch that begins below it goes as a whole; prints where the log ends
  kafka.py with -- CMD   runs CMD beside a broker in a temporary folder, with TABLETOPIC_TEST_BOOTSTRAP set, and
                         leaves with the exit code of CMD

The first `up` of a folder takes --port (by default one that is free) and any number of --property key=value for
server.properties; later ones keep what the folder has. DIR/pid is the broker's process, DIR/out.log its log.
With --secured FOLDER clients can log in as well, at further addresses, one for each way (see `secured.py`), with the
certificates and keys of that folder; each address is printed in a line with its name, and stands in DIR/addresses.
With --tiered FOLDER topics can have a remote tier (KIP-405), which is that folder.
Needs Java and the jars that `provision` installs; only Python's standard library.
"""

import argparse
import base64
import contextlib
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid

import secured

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("TABLETOPIC_CACHE") or HERE.parent.parent / ".cache")
CLASSES = str(CACHE / "kafka" / "*")
HOST = "127.0.0.1"
START_TIMEOUT = STOP_TIMEOUT = 60  # seconds

# Below the range from which systems take the ports of outgoing connections, so that a broker that is away for a
# minute finds its port free when it comes back.
PORTS = range(20000, 32000)

# A test waits for what a broker in production does every few minutes: retention, compaction, group membership, the
# end of hung transactions, the return of a killed broker. Here it does so within seconds. The rest keeps it small.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{listeners}
advertised.listeners=PLAINTEXT://{host}:{port}{listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
log.initial.task.delay.ms=500
log.retention.check.interval.ms=500
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=16777216
log.segment.delete.delay.ms=500
"""


# The tiers of a topic with `remote.storage.enable`.
TIERED = """\
remote.log.storage.system.enable=true
remote.log.storage.manager.class.name=org.apache.kafka.server.log.remote.storage.LocalTieredStorage
remote.log.storage.manager.impl.prefix=rsm.config.
rsm.config.dir={folder}
remote.log.metadata.manager.listener.name=PLAINTEXT
rlmm.config.remote.log.metadata.topic.replication.factor=1
rlmm.config.remote.log.metadata.topic.num.partitions=1
rlmm.config.remote.log.metadata.common.client.bootstrap.servers={host}:{port}
remote.log.manager.task.interval.ms=500
"""

# Of a record batch: base offset, length of what follows the length, last offset less the base offset.
BATCH_HEADER = struct.Struct(">qi11xi")


class BrokerDied(Exception):
    """The broker ended before it served. The message carries the end of its log."""


class Broker:
    """The broker whose configuration, data, log and process id are in one folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        self.properties = self.folder / "server.properties"
        self.bootstrap_file = self.folder / "bootstrap"
        self.pid_file = self.folder / "pid"
        self.log = self.folder / "out.log"

    @property
    def bootstrap(self):
        return self.bootstrap_file.read_text().strip()

    def up(self, port, extra_properties, keys=None, remote_tier=None):
        """Starts the broker and returns its bootstrap address once clients are served."""
        if self.pid() is not None:
            return self.bootstrap
        if self.properties.exists():
            self.start()
            return self.bootstrap
        for attempt in range(5):
            self.format(port or free_port(), extra_properties, keys, remote_tier)
            try:
                self.start()
                return self.bootstrap
            except BrokerDied as died:
                # Between choosing a port and binding it, somebody else may take it. Not when it was asked for.
                if port or attempt == 4 or "Address already in use" not in str(died):
                    raise
                self.properties.unlink()

    def format(self, port, extra_properties, keys, remote_tier):
        """Writes the configuration and an empty log folder for a new cluster."""
        data = self.folder / f"data-{port}"
        data.mkdir(parents=True, exist_ok=True)
        controller = free_port(besides=[port])
        listeners, protocols, lines, users = "", "", "", []
        if keys:
            ports = [port, controller]
            ways = secured.ways(keys)
            for _ in ways:
                ports.append(free_port(besides=ports))
            addresses = {way: f"{HOST}:{each}" for way, each in zip(ways, ports[2:])}
            listeners, protocols, lines = secured.properties(addresses, keys, self.folder)
            subprocess.run(["javac", "-cp", CLASSES, "-d", self.folder, HERE / "IamValidator.java"], check=True)
            users = secured.USERS
            (self.folder / "addresses").write_text("".join(f"{way} {each}\n" for way, each in addresses.items()))
        text = PROPERTIES.format(
            host=HOST, port=port, controller=controller, data=data, listeners=listeners, protocols=protocols
        )
        if remote_tier:
            lines += TIERED.format(host=HOST, port=port, folder=remote_tier)
        # The last of two equal keys holds, so that a test can overrule any of the above.
        self.properties.write_text(text + lines + "".join(f"{line}\n" for line in extra_properties))
        self.bootstrap_file.write_text(f"{HOST}:{port}\n")
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        format = [*java("-Xmx128m"), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", self.properties, *users]
        done = subprocess.run(format, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            self.properties.unlink()
            raise BrokerDied(f"the log folder {data} could not be formatted:\n{done.stdout}")

    def start(self):
        """Starts the process and waits for its own word that it serves."""
        with open(self.log, "ab") as log:
            before = log.tell()
            # A session of its own: Ctrl-C on a test stops the broker through `down`, not in the midst of it.
            process = subprocess.Popen(
                [
                    *java("-Xms64m", "-Xmx512m", *secured.java_options(self.folder), more=self.folder),
                    "kafka.Kafka", self.properties,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        self.pid_file.write_text(f"{process.pid}\n")
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            ended = process.poll() is not None
            written = self.log.read_bytes()[before:].decode(errors="replace")
            if "Kafka Server started" in written and serves(self.bootstrap):
                return
            if ended:
                self.pid_file.unlink(missing_ok=True)
                raise BrokerDied(f"the broker in {self.folder} ended with {process.returncode}:\n{written[-4000:]}")
            if time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise BrokerDied(f"the broker in {self.folder} did not serve in {START_TIMEOUT} s:\n{written[-4000:]}")
            time.sleep(0.05)

    def stop(self, with_signal):
        """Stops the process, if there is one, and waits until it has ended."""
        pid = self.pid()
        if pid is None:
            return
        # A test may have stopped it with SIGSTOP; a stopped process would not see SIGTERM.
        for each in (with_signal, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, each)
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.pid() is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)

    def cut(self, topic, partition, offset):
        """Cuts a log at a batch boundary at or below the offset, and returns where it ends then."""
        if self.pid() is not None:
            sys.exit("kafka.py: the broker is running: stop it first")
        [log] = self.folder.glob(f"data-*/{topic}-{partition}")
        segments = sorted(log.glob("*.log"), key=lambda path: int(path.stem))
        # Indexes and producer snapshots speak of what is gone; the broker makes them again.
        for kind in ("*.index", "*.timeindex", "*.txnindex", "*.snapshot"):
            for path in log.glob(kind):
                path.unlink()
        for path in [path for path in segments[1:] if int(path.stem) >= offset]:
            path.unlink()
            segments.remove(path)
        end = int(segments[-1].stem)
        with open(segments[-1], "r+b") as file:
            position = 0
            while len(header := file.read(BATCH_HEADER.size)) == BATCH_HEADER.size:
                base, length, last = BATCH_HEADER.unpack(header)
                # A file may be longer than what was written to it.
                if length == 0 or base + last >= offset:
                    break
                end = base + last + 1
                position += 12 + length
                file.seek(position)
            file.truncate(position)
        return end

    def pid(self):
        """The process id of the running broker, or None. A number that another process got meanwhile is not ours."""
        try:
            pid = int(self.pid_file.read_text())
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if str(self.properties).encode() in arguments else None


def java(*options, more=""):
    """The command line up to the main class, with one more folder of classes. Quick to start rather than fast at its
    peak: tests are short."""
    if not any((CACHE / "kafka").glob("kafka_*.jar")):
        sys.exit(f"kafka.py: no broker in {CACHE / 'kafka'}: run tests/parts/provision")
    return [
        "java", *options, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-cp", ":".join(filter(None, [CLASSES, str(more)])),
    ]


def free_port(besides=()):
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            if port not in besides:
                return port


def serves(bootstrap):
    host, port = bootstrap.rsplit(":", 1)
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "serve", "with"):
        command = commands.add_parser(name)
        command.add_argument("--port", type=int, help="by default one that is free")
        command.add_argument("--property", action="append", default=[], metavar="KEY=VALUE")
        command.add_argument("--secured", type=pathlib.Path, metavar="FOLDER", help="of certificates.py and oidc.py")
        command.add_argument("--tiered", type=pathlib.Path, metavar="FOLDER", help="of the remote tier")
        if name == "with":
            command.add_argument("cmd", nargs="+")
        else:
            command.add_argument("dir")
    for name in ("down", "kill"):
        commands.add_parser(name).add_argument("dir")
    command = commands.add_parser("cut")
    command.add_argument("dir")
    command.add_argument("topic")
    command.add_argument("partition", type=int)
    command.add_argument("offset", type=int)
    options = parser.parse_args()

    # So that `finally` runs, and the broker stops, also when this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    match options.command:
        case "up":
            broker = Broker(options.dir)
            print(broker.up(options.port, options.property, options.secured, options.tiered))
            if options.secured:
                print((broker.folder / "addresses").read_text(), end="")
        case "down":
            Broker(options.dir).stop(signal.SIGTERM)
        case "kill":
            Broker(options.dir).stop(signal.SIGKILL)
        case "cut":
            print(Broker(options.dir).cut(options.topic, options.partition, options.offset))
        case "serve":
            broker = Broker(options.dir)
            try:
                print(broker.up(options.port, options.property, options.secured, options.tiered), flush=True)
                sys.stdin.read()
            finally:
                broker.stop(signal.SIGTERM)
        case "with":
            with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
                broker = Broker(folder)
                # Many tests share it, and none ends it: on a busy machine it is slow, and not dead.
                properties = ["broker.session.timeout.ms=60000", *options.property]
                try:
                    bootstrap = broker.up(options.port, properties, options.secured, options.tiered)
                    environment = os.environ | {"TABLETOPIC_TEST_BOOTSTRAP": bootstrap}
                    code = subprocess.run(options.cmd, env=environment).returncode
                finally:
                    broker.stop(signal.SIGTERM)
            # A command that a signal ended has a negative code; shells say 128 + the signal.
            sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    try:
        main()
    except BrokerDied as died:
        sys.exit(f"kafka.py: {died}")
    except KeyboardInterrupt:
        sys.exit(130)
