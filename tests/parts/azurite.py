#!/usr/bin/env python3
"""Azure's object store, as Azurite plays it, for a test that starts it as its child.

  azurite.py     starts it with an empty container `lake`, waits until it serves, and prints the endpoint of its account

Then it does what standard input says, a word a line, and prints each word when it is done: `down`, `up` (it is stopped,
and started again), and `unfinished` (followed by how many blobs have parts that were never put together).
It ends with standard input. Needs Node.js and what `provision engines` installs; only Python's standard library.
"""

import argparse
import base64
import email.utils
import hashlib
import hmac
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from kafka import CACHE, HOST, free_port, serves

# Azurite's own, which are everybody's.
ACCOUNT = "devstoreaccount1"
KEY = base64.b64decode("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
CONTAINER = "lake"
VERSION = "2021-12-02"
START_TIMEOUT = 60  # seconds


class Azurite:
    """Its process, and the folder with all that it keeps."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://{HOST}:{self.port}/{ACCOUNT}"
        self.process = None

    def up(self):
        program = CACHE / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        if not program.exists():
            sys.exit(f"azurite.py: no {program}: run tests/parts/provision engines")
        # The client's version of the API may be newer than those that Azurite has heard of.
        command = ["node", program, "--blobHost", HOST, "--blobPort", str(self.port), "--location", self.folder,
                   "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        log = self.folder / "log"
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=self.folder, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT
        while not serves(f"{HOST}:{self.port}"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.down()
                sys.exit(f"azurite.py: it does not serve:\n{log.read_text()[-4000:]}")
            time.sleep(0.02)

    def down(self):
        # Killed, it would lose what it has answered for: it saves what it keeps every few seconds.
        self.process.terminate()
        self.process.wait()

    def ask(self, method, **parameters):
        """A question about the container, signed with the account's key
        (https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key)."""
        date = email.utils.formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": VERSION}
        # Eleven headers that are not sent stand between the method and those of Azure's own.
        signed = "\n".join([method, *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())])
        # The account twice: once as the owner, and once as what the path begins with.
        signed += f"\n/{ACCOUNT}/{ACCOUNT}/{CONTAINER}"
        signed += "".join(f"\n{name}:{value}" for name, value in sorted(parameters.items()))
        signature = base64.b64encode(hmac.digest(KEY, signed.encode(), hashlib.sha256)).decode()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
        url = f"{self.endpoint}/{CONTAINER}?{urllib.parse.urlencode(parameters)}"
        request = urllib.request.Request(url, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=START_TIMEOUT) as answer:
            return answer.read().decode()

    def unfinished(self):
        """A blob that was never put together has parts, and no length."""
        listed = self.ask("GET", restype="container", comp="list", include="uncommittedblobs")
        return len(re.findall("<Content-Length>0</Content-Length>", listed))


def obey(word, store):
    match word:
        case "down":
            store.down()
        case "up":
            store.up()
        case "unfinished":
            return f"{word} {store.unfinished()}"
        case _:
            sys.exit(f"azurite.py: no such order: {word}")
    return word


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        store = Azurite(pathlib.Path(folder))
        try:
            store.up()
            store.ask("PUT", restype="container")
            print(store.endpoint, flush=True)
            for line in sys.stdin:
                print(obey(line.strip(), store), flush=True)
        finally:
            if store.process:
                store.down()


if __name__ == "__main__":
    main()
