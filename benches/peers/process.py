"""A process that is measured while it runs, and that ends with this one, however this one ends."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
END_TIMEOUT = 30  # seconds
END_OF_LOG = 4000  # characters


class Failed(Exception):
    """What was measured does not do what it should. Says why, with the end of its log."""


def end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A command that runs in a folder of its own, where its log is; lines can be sent to its standard input."""

    def __init__(self, name, command, folder):
        self.name, self.log = name, folder / "log"
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C is for the driver, which then ends this.
            self.popen = subprocess.Popen(
                [str(word) for word in command], cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=end_with_parent,
            )

    def cpu(self):
        """Seconds that it and its children that have ended took, in user and system mode."""
        fields = self.of_proc("stat").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS

    def peak_mib(self):
        """The most that was resident so far."""
        [line] = [line for line in self.of_proc("status").splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) // 1024

    def of_proc(self, file):
        # Not waited for yet, it is there even if it has ended: but without memory.
        self.check()
        return pathlib.Path(f"/proc/{self.popen.pid}/{file}").read_text()

    def check(self):
        if self.popen.poll() is not None:
            raise self.failed(f"left with {self.popen.returncode}")

    def failed(self, why):
        return Failed(f"{self.name} {why}; the end of its log:\n{self.written()[-END_OF_LOG:]}")

    def written(self):
        return self.log.read_text(errors="replace")

    def send(self, line):
        self.popen.stdin.write(f"{line}\n".encode())
        self.popen.stdin.flush()

    def end(self):
        self.popen.terminate()
        try:
            self.popen.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def wait_until(self, what, condition, timeout, every=0.1):
        """Waits until the condition is true; fails if it does not get so, or if the process ends."""
        deadline = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise self.failed(f"did not {what} within {timeout} s")
            time.sleep(every)

    def wait_until_idle(self, timeout=60):
        """Waits until a second took less than a tenth of one: what there was to start has started."""
        last = [self.cpu()]

        def idle():
            last.append(self.cpu())
            return last[-1] - last[-2] < 0.1

        time.sleep(1)
        self.wait_until("become idle", idle, timeout, every=1)
