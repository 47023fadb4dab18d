"""Goal: examples/apt_search.py finds packages by meaning, and updates embed and delete only what has changed, also after
an interruption.

Method: lists of a few packages, and a stand-in for the model that puts words into the components of a vector.
"""

import contextlib
import io
import json
import os
import sys

import support

sys.path.insert(0, os.path.join(os.environ.get("RHUMB_SOURCES", "."), "examples"))
import apt_search  # noqa: E402

PACKAGES = """Package: sox
Section: sound
Description: Swiss army knife of sound processing
Description-md5: 1

Package: ffmpeg
Section: contrib/sound
Description: Tools for audio and video
Description-md5: 2

Package: gcc
Section: devel
Description: compiler for C
Description-md5: 3

Package: gcc
Section: devel
Description: compiler for C, an older version
Description-md5: 4
"""
TRANSLATIONS = """Package: sox
Description-md5: 1
Description-en: Swiss army knife of sound processing
 It converts sound files
 and plays them.

Package: gcc
Description-md5: 3
Description-en: GNU compiler for C
 It compiles programs.
"""


class Lists(support.TestCase):
    def test_descriptions_are_found_by_their_checksums(self):
        found = apt_search.packages_of(PACKAGES, TRANSLATIONS)
        self.assertEqual(list(found), ["sox", "ffmpeg", "gcc"])
        self.assertTrue(found["sox"].text.startswith("sox: Swiss army knife of sound processing. It converts"))
        self.assertTrue(found["sox"].text.endswith("sound files and plays them."))
        self.assertEqual(found["ffmpeg"].text.strip(), "ffmpeg: Tools for audio and video.")
        self.assertEqual((found["gcc"].summary, found["gcc"].section), ("GNU compiler for C", "devel"))


class Updates(support.TestCase):
    def setUp(self):
        super().setUp()
        self.encoder = support.WordEncoder()
        self.packages = apt_search.packages_of(PACKAGES, TRANSLATIONS)

    def catalogue(self, **options):
        return apt_search.Catalogue(self.folder, self.encoder, **options)

    def update(self, packages):
        self.encoder.embedded.clear()
        with self.catalogue() as catalogue:
            return catalogue.update(packages)

    def names(self, text, **options):
        with self.catalogue(read_only=True) as catalogue:
            return [row[0] for row in catalogue.search(text, **options)]

    def test_packages_are_found_and_filtered_by_section(self):
        self.assertEqual(self.update(self.packages), (3, 0, 0))
        with self.catalogue(read_only=True) as catalogue:
            name, distance, section, summary = catalogue.search("compiler for programs", k=1)[0]
        self.assertEqual((name, section, summary), ("gcc", "devel", "GNU compiler for C"))
        self.assertLess(distance, 1)
        self.assertEqual(set(self.names("compiler", section="sound")), {"sox", "ffmpeg"})
        self.assertEqual(self.names("compiler", section="contrib/sound"), ["ffmpeg"])
        self.assertEqual(self.names("compiler", section="non-free/sound"), [])
        self.assertEqual(self.names("compiler", section="games"), [])

    def test_only_what_has_changed_is_embedded(self):
        self.update(self.packages)
        self.assertEqual(self.update(self.packages), (0, 0, 3))
        self.assertEqual(self.encoder.embedded, [])
        changed = apt_search.packages_of(PACKAGES.replace("audio and video", "moving pictures"), TRANSLATIONS)
        del changed["sox"]
        changed["vlc"] = apt_search.Package("vlc", "video", "player", [])
        self.assertEqual(self.update(changed), (2, 1, 1))
        self.assertEqual(len(self.encoder.embedded), 2)
        self.assertEqual(self.names("moving pictures", k=1), ["ffmpeg"])
        self.assertEqual(set(self.names("sound", k=10)), {"ffmpeg", "gcc", "vlc"})

    def test_another_model_embeds_everything(self):
        self.update(self.packages)
        self.encoder.name = "other words"
        self.assertEqual(self.update(self.packages), (3, 0, 0))

    def test_an_interrupted_update_goes_on(self):
        self.addCleanup(setattr, apt_search, "CHUNK", apt_search.CHUNK)
        apt_search.CHUNK = 1
        whole = self.encoder.embed

        def interrupted(sentences, progress):
            if len(self.encoder.embedded) == 2:
                raise KeyboardInterrupt
            return whole(sentences, progress)

        self.encoder.embed = interrupted
        self.assertRaises(KeyboardInterrupt, self.update, self.packages)
        self.encoder.embed = whole
        self.assertEqual(self.update(self.packages), (1, 0, 2))

    def test_what_a_crash_left_is_put_right(self):
        self.update(self.packages)
        with self.catalogue() as catalogue:  # vectors without a fact, and a fact without a vector
            with catalogue._facts:
                catalogue._facts.execute("DELETE FROM package WHERE name IN ('sox', 'gcc')")
            catalogue._names.delete("ffmpeg")
        del self.packages["gcc"], self.packages["ffmpeg"]
        self.assertEqual(self.update(self.packages), (1, 2, 0))
        self.assertEqual(self.names("anything"), ["sox"])

    def run_command(self, *arguments):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            command = [arguments[0], "--folder", self.folder, *arguments[1:]]
            apt_search.main(command, self.encoder, lambda: self.packages)
        return printed.getvalue()

    def test_the_commands(self):
        with self.assertRaisesRegex(SystemExit, "run apt_search.py update"):
            self.run_command("search", "anything")
        self.assertIn("3 embedded, 0 deleted, 0 as before", self.run_command("update"))
        lines = self.run_command("search", "-k", "2", "sound", "processing").splitlines()
        self.assertEqual((len(lines), lines[0].split()[1]), (2, "sox"))
        self.assertEqual(json.loads(self.run_command("info"))["sections"], {"sound": 1, "devel": 1, "contrib/sound": 1})


if __name__ == "__main__":
    support.main()
