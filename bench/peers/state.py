"""What a comparison has measured so far, as a file that the next run goes on from.

settings   what was asked for; a run with other settings does not continue this state
title      the first line of the report
record     {what, machine, commit, command} of the run that began it
peers      {name: fields}: what the worker and compare.py say of it (version, avx2, note, parallel, build_seconds,
           file_bytes, own_bytes), failed: why it was left out, recall: {k: {ef: recall}}, and
           qps: {"k/threads": {ef: [a value per round]}}. All keys are text, as JSON wants it.
"""

import json
import os


class State:
    def __init__(self, path, settings, title, record, names):
        self._path = path
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.fields = json.load(file)
            if self.fields["settings"] != settings:
                changed = sorted(key for key in settings if self.fields["settings"].get(key) != settings[key])
                raise SystemExit(f"{path} is of other settings ({', '.join(changed)}): remove it, or use another --dir")
            self.fields["title"] = title  # which has the number of rounds
        else:
            peers = {name: {"recall": {}, "qps": {}} for name in names}
            self.fields = {"settings": settings, "title": title, "record": record, "peers": peers}

    @property
    def peers(self):
        return self.fields["peers"]

    def alive(self):
        """The names of the peers that have not failed."""
        return [name for name, peer in self.peers.items() if "failed" not in peer]

    def save(self):
        """Replaces the file at once, so that a run that is interrupted leaves a whole one."""
        with open(self._path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.fields, file, indent=1)
        os.replace(self._path + ".new", self._path)

    def recalls(self, name, k):
        """{ef: recall} of what is known."""
        return {int(ef): recall for ef, recall in self.peers[name]["recall"].get(str(k), {}).items()}

    def set_recall(self, name, k, ef, recall):
        self.peers[name]["recall"].setdefault(str(k), {})[str(ef)] = recall

    def passes(self, name, k, thread_count, ef):
        """The list of queries per second, one per round, to append to."""
        return self.peers[name]["qps"].setdefault(f"{k}/{thread_count}", {}).setdefault(str(ef), [])
