"""Texts that every Debian 12 can have: the paragraphs of the descriptions of its packages.

They come from the list "Translation-en" of bookworm's main section. A machine whose apt keeps that list has it already;
otherwise apt fetches the lists of the machine's own sources into a folder that is removed afterwards, which needs
neither root nor a change of the machine. Bookworm's list changes with Debian's point releases only.
"""

import collections
import hashlib
import os
import subprocess
import tempfile

CODENAME = "bookworm"
WORDS_MIN = 6  # shorter paragraphs are headings and remainders of lists
TRANSLATIONS = ["Created-By: Translations", f"Codename: {CODENAME}", "Component: main", "Language: en"]

PackageTexts = collections.namedtuple("PackageTexts", "paragraphs package_count list_sha256")


def paragraphs_of(record):
    """Yields the paragraphs of one package's record, each as one line.

    The description's first line is a summary. Below it each line is indented by a space, and " ." is an empty one.
    """
    words, within = [], False
    for line in record.split("\n") + ["end"]:
        if within and line.startswith(" ") and line != " .":
            words += line.split()
            continue
        if words:
            yield " ".join(words)
            words = []
        if not line.startswith(" "):
            within = line.startswith("Description-en:")


def texts_of(records):
    """The distinct paragraphs of WORDS_MIN words or more of all records, in the order of their first occurrence."""
    found = {}
    for record in records:
        for paragraph in paragraphs_of(record):
            if len(paragraph.split()) >= WORDS_MIN:
                found.setdefault(paragraph)
    return list(found)


def output_of(command):
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"the descriptions of Debian's packages could not be read: {error}")


def list_files(options, selection):
    """The paths of apt's lists that a selection ("Created-By: Packages"...) names and that are there."""
    paths = output_of(["apt-get", "indextargets", "--format", "$(FILENAME)"] + options + selection).decode().split()
    return [path for path in paths if os.path.exists(path)]


def content_of(paths):
    """The bytes of lists, whatever they are compressed with."""
    return output_of(["/usr/lib/apt/apt-helper", "cat-file", *paths])


def fetch_lists(folder):
    """Has apt fetch the lists into `folder`, and returns the options that make it use them."""
    os.makedirs(os.path.join(folder, "lists", "partial"))
    settings = [
        f"Dir::State::lists={folder}/lists",
        f"Dir::Cache={folder}",
        "Acquire::Languages=en",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        "APT::Sandbox::User=" + ("root" if os.geteuid() == 0 else ""),
        "APT::Update::Post-Invoke-Success::=true",
    ]
    options = [word for setting in settings for word in ("-o", setting)]
    output_of(["apt-get", "-qq", "update"] + options)
    return options


def package_texts():
    """Returns the PackageTexts of bookworm."""
    with tempfile.TemporaryDirectory() as folder:
        paths = list_files(["-o", "Acquire::Languages=en"], TRANSLATIONS)
        if not paths:
            paths = list_files(fetch_lists(folder), TRANSLATIONS)
        if not paths:
            raise SystemExit(f"apt has no source of Debian 12 ({CODENAME}, main): the texts come from its descriptions")
        content = content_of(paths[:1])
    records = [record for record in content.decode("utf-8").split("\n\n") if record.strip()]
    return PackageTexts(texts_of(records), len(records), hashlib.sha256(content).hexdigest())
