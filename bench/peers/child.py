"""A process that answers requests, one line of JSON each, and that may die at any time: then the reason is reported.

While it has no request it is stopped, so that a library whose threads spin takes no time from the one that is measured.
What it prints to standard error goes into a file.
"""

import json
import os
import select
import signal
import subprocess

REASON_CHARACTERS_MAX = 300


class Died(Exception):
    """The process ended, or was ended because it did not answer in time; the text says how."""


class Child:
    """Runs `command`, whose standard error is appended to `log_path`. Its first answer comes without a request."""

    def __init__(self, command, log_path):
        self._log_path = log_path
        with open(log_path, "ab") as log:
            self._log_begin = log.tell()
            self._process = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._unread = b""

    def _last_words(self):
        """The last line that the process printed to standard error."""
        with open(self._log_path, "rb") as log:
            log.seek(self._log_begin)
            lines = log.read().decode("utf-8", "replace").split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        return lines[-1][:REASON_CHARACTERS_MAX] if lines else "it printed nothing"

    def _died(self):
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Died(f"{how}: {self._last_words()}")

    def answer(self, limit_seconds):
        """Waits for the next line. Raises Died if there is none within the limit."""
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([pipe], [], [], limit_seconds)[0]:
                self.end()
                raise Died(f"no answer within {limit_seconds:g} s: {self._last_words()}")
            part = os.read(pipe, 1 << 16)
            if not part:
                raise self._died()
            self._unread += part
        line, self._unread = self._unread.split(b"\n", 1)
        return json.loads(line)

    def ask(self, request, limit_seconds):
        """Sends a request and waits for its answer, between which the process runs."""
        try:
            self._process.send_signal(signal.SIGCONT)
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise self._died() from None
        answer = self.answer(limit_seconds)
        self.pause()
        return answer

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def end(self):
        """Ends the process, which has nothing to lose."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
