#!/usr/bin/env python3
"""A Kerberos realm (MIT's KDC) for a test that starts it as its child.

  kdc.py DIR [--life SECONDS]
        makes the realm, with DIR/krb5.conf for its clients, starts its KDC, waits until it serves, and prints a line

In DIR are the keys of a broker on this host (`broker.keytab`, see `secured.py`), those of the client `lake`
(`client.keytab`), and `stale.keytab`, whose keys of `lake` are not valid any more. Tickets live for so many seconds.
It then does what standard input says, a word a line, and prints each word when it is done: `down`, `up` (the KDC is
stopped, and started again), and `count` (followed by how many times `lake` has got a ticket to get tickets with).
It ends with standard input. Needs what `provision` installs from the distribution.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kafka import HOST, free_port, serves
from secured import KEYTAB, SERVICE, USER

REALM = "TABLETOPIC.TEST"
START_TIMEOUT = 60  # seconds

# A ticket that has ended is refused at once, where by default clocks may differ by five minutes.
CLIENTS = """\
[libdefaults]
 default_realm = {realm}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 clockskew = 1
[realms]
 {realm} = {{
  kdc = {host}:{port}
 }}
[domain_realm]
 {host} = {realm}
[logging]
 kdc = FILE:{folder}/kdc.log
"""

SERVER = """\
[kdcdefaults]
 kdc_listen = {host}:{port}
 kdc_tcp_listen = {host}:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
  max_life = {life}s
 }}
"""


class Kdc:
    """The KDC whose database and log are in one folder."""

    def __init__(self, folder, keys, life):
        self.log = folder / "kdc.log"
        self.process = None
        self.address = f"{HOST}:{free_port()}"
        port = self.address.split(":")[1]
        known = {"realm": REALM, "host": HOST, "port": port, "folder": folder, "life": life}
        (keys / "krb5.conf").write_text(CLIENTS.format(**known))
        (folder / "kdc.conf").write_text(SERVER.format(**known))
        self.environment = os.environ | {
            "KRB5_CONFIG": str(keys / "krb5.conf"), "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        }
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "of-a-test")
        broker = f"{SERVICE}/{HOST}"
        for principal in (broker, USER):
            self.run("kadmin.local", "addprinc", "-randkey", principal)
        # Each makes a new key, and the one before it is not valid any more.
        for file, principal in ((KEYTAB, broker), ("stale.keytab", USER), ("client.keytab", USER)):
            self.run("kadmin.local", "ktadd", "-k", keys / file, principal)

    def run(self, program, *arguments):
        done = subprocess.run([path(program), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"kdc.py: {program} failed:\n{done.stdout}")

    def up(self):
        self.process = subprocess.Popen([path("krb5kdc"), "-n"], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT
        while not serves(self.address):
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text() if self.log.exists() else ""
                sys.exit(f"kdc.py: the KDC does not serve:\n{said[-4000:]}")
            time.sleep(0.02)

    def down(self):
        self.process.kill()
        self.process.wait()

    def count(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return sum("AS_REQ" in line and " ISSUE: " in line and f", {USER}@" in line for line in lines)


def path(program):
    """Debian has these where only root looks for programs."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found or sys.exit(f"kdc.py: no {program} on this machine: run tests/parts/provision engines")


def obey(word, kdc):
    match word:
        case "down":
            kdc.down()
        case "up":
            kdc.up()
        case "count":
            return f"{word} {kdc.count()}"
        case _:
            sys.exit(f"kdc.py: no such order: {word}")
    return word


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keys", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--life", type=int, default=3600)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="kdc-") as folder:
        kdc = Kdc(pathlib.Path(folder), options.keys.resolve(), options.life)
        try:
            kdc.up()
            print("up", flush=True)
            for line in sys.stdin:
                print(obey(line.strip(), kdc), flush=True)
        finally:
            if kdc.process:
                kdc.down()


if __name__ == "__main__":
    main()
