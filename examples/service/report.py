"""Messages for those who run the service, on standard error: a failure to write them stops nothing."""

import os
import time


def say(message):
    """Writes a line that begins with the time."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        os.write(2, f"{when} {message.rstrip()}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # a full disk, or no reader
