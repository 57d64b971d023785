#!/usr/bin/env python3
"""A PostgreSQL server in a temporary folder, for a test that starts it as its child.

  postgres.py              starts it, waits until it serves, prints its port at 127.0.0.1
  postgres.py --tls DIR    the same, with TLS by the certificates that `certificates.py DIR` made

Who may log in: `postgres`, the superuser, as it is; `client` by TLS with the client's certificate; everybody else with a
password, such as `lake` with "lake's password", who owns the databases that are made here.

Then it does what standard input says, a line each, and prints each line when it is done:
  create NAME      a database
  stop             as a machine that fails
  start            also after `standby`, when it is a primary again
  standby          from here on it only shows what it has, as a replica after a fail-over
It ends with standard input, so that it does not outlive a test that panics. Needs PostgreSQL's server (`initdb` and
`postgres`, on the path or where Debian has them); only Python's standard library.
"""

import argparse
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kafka import HOST, free_port

START_TIMEOUT = 60  # seconds

# It keeps nothing beyond a test: speed, not durability.
SETTINGS = {
    "listen_addresses": HOST, "fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB",
    "max_connections": "60", "wal_level": "replica", "autovacuum": "off",
}

LOGINS = f"""\
local all all trust
host all postgres {HOST}/32 trust
hostssl all client {HOST}/32 cert
host all all {HOST}/32 scram-sha-256
"""

ROLES = "CREATE ROLE lake LOGIN PASSWORD 'lake''s password'; CREATE ROLE client LOGIN"


PROGRAMS = ("initdb", "pg_isready", "postgres", "psql")


def programs():
    """The folder with the server's programs, which Debian keeps off the path; of several versions the newest."""
    versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("initdb"):
        folders.append(pathlib.Path(found).resolve().parent)
    for folder in folders:
        if all((folder / program).exists() for program in PROGRAMS):
            return folder
    sys.exit("postgres.py: no PostgreSQL server on this machine: run tests/parts/provision, or install one")


class Server:
    def __init__(self, folder, tls):
        self.folder, self.data, self.programs = folder, folder / "data", programs()
        self.port, self.process = free_port(), None
        self.log = open(folder / "log", "wb")
        # The server refuses to run as root.
        self.user = None
        if os.geteuid() == 0:
            names = [entry.pw_name for entry in pwd.getpwall()]
            self.user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(folder, self.user)
        self.run("initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
                 "--locale", "C", "--no-sync", "--no-instructions")
        (self.data / "pg_hba.conf").write_text(LOGINS)
        settings = SETTINGS | {"port": str(self.port), "unix_socket_directories": str(folder)}
        if tls:
            for name in ("ca.pem", "server.pem", "server-key.pem"):
                target = self.data / name
                shutil.copy(tls / name, target)
                target.chmod(0o600)
                if self.user:
                    shutil.chown(target, self.user)
            settings |= {
                "ssl": "on", "ssl_ca_file": "ca.pem", "ssl_cert_file": "server.pem", "ssl_key_file": "server-key.pem",
            }
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        with open(self.data / "postgresql.conf", "a") as file:
            file.writelines(lines)
        self.start()
        self.sql(ROLES)

    def run(self, program, *arguments):
        command = [self.programs / program, *arguments]
        done = subprocess.run(
            command, user=self.user, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        if done.returncode:
            self.fail(f"{program} failed")

    def fail(self, what):
        sys.exit(f"postgres.py: {what}:\n{(self.folder / 'log').read_text()[-4000:]}")

    def sql(self, statement):
        self.run("psql", "--host", self.folder, "--port", str(self.port), "--username", "postgres", "--no-psqlrc",
                 "--set", "ON_ERROR_STOP=1", "--command", statement)

    def create(self, name):
        self.sql(f'CREATE DATABASE "{name}" OWNER lake')

    def start(self):
        self.stop()
        (self.data / "standby.signal").unlink(missing_ok=True)
        self.serve()

    def standby(self):
        # A server that is killed has to recover first; only one that was stopped in order shows what it has at once.
        self.stop(signal.SIGINT)
        (self.data / "standby.signal").touch()
        self.serve()

    def serve(self):
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.data], user=self.user, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT
        ready = [self.programs / "pg_isready", "--quiet", "--host", HOST, "--port", str(self.port)]
        while subprocess.run(ready).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.fail("it does not serve")
            time.sleep(0.02)

    def stop(self, how=signal.SIGQUIT):
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tls", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = Server(pathlib.Path(folder), options.tls)
        orders = {"create": server.create, "stop": server.stop, "start": server.start, "standby": server.standby}
        try:
            print(server.port, flush=True)
            for line in sys.stdin:
                order, *arguments = line.split()
                orders[order](*arguments)
                print(line.strip(), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
