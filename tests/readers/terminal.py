#!/usr/bin/env python3
"""Drives a program through a pseudo-terminal, as a person at a keyboard does.

  terminal.py STEPS.json PROGRAM [ARGUMENT ...]

STEPS is a list of steps, taken one after the other: {"wait": text} waits until the program has written that text behind
the one waited for last, {"send": text} types it, {"send": text, "until": other} types it each half second until the
program has written the other, and {"beside": [PROGRAM, ARGUMENT, ...]} runs another program to its end, which has to succeed.
Prints the exit code and all that was on the terminal, without the escape sequences that move the cursor; leaves with 3 if a
text does not come within a minute.
"""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

PATIENCE = 60
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


def main():
    steps = json.loads(pathlib.Path(sys.argv[1]).read_text())
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(sys.argv[2], sys.argv[2:])
    # Wide enough that no line is broken.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 400, 0, 0))

    seen, fresh, ended = b"", 0, False

    def read(seconds):
        nonlocal seen, ended
        if not select.select([terminal], [], [], seconds)[0]:
            return
        try:
            some = os.read(terminal, 65536)
        except OSError:  # the program has closed its side
            some = b""
        ended = ended or not some
        seen += some

    def text():
        return ESCAPES.sub("", seen.decode(errors="replace"))

    missing = None
    for step in steps:
        if "beside" in step:
            subprocess.run(step["beside"], check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            continue
        awaited = step.get("wait") or step.get("until")
        deadline, next_send = time.monotonic() + PATIENCE, 0
        while True:
            if "send" in step and time.monotonic() > next_send:
                os.write(terminal, step["send"].encode())
                next_send = time.monotonic() + 0.5
            if awaited is None or text().find(awaited, fresh) >= 0 or ended or time.monotonic() > deadline:
                break
            read(0.2)
        if awaited is None:
            continue
        at = text().find(awaited, fresh)
        if at < 0:
            missing = awaited
            break
        fresh = at + len(awaited)
    deadline = time.monotonic() + PATIENCE
    while missing is None and not ended and time.monotonic() < deadline:
        read(0.2)
    if missing is not None or not ended:
        os.kill(pid, 9)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    json.dump({"code": code, "missing": missing, "terminal": text()}, sys.stdout, indent=1, ensure_ascii=False)
    print()
    sys.exit(3 if missing is not None else 0)


main()
