"""Goal: tools/check_commits.py sees messages that break the rules, and lets trees without a history pass.

Method: single messages; repositories made in a temporary folder, with a commit that stands for what is published.
"""

import os
import shutil
import subprocess
import tempfile
import unittest

import check_commits

BODY = "\n\nThe reason for the change takes a sentence of more than eight words.\n"
FIRST_CHECKED = "0" * 40  # no repository of these tests has it


class Messages(unittest.TestCase):
    def assert_problem(self, message, part):
        problems = check_commits.problems_of(message)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(part, problems[0])

    def test_a_good_message_passes(self):
        self.assertEqual(check_commits.problems_of("x" * 72 + BODY), [])
        self.assertEqual(check_commits.problems_of("Do it" + BODY + "\nSigned-off-by: A <a@b>\n"), [])

    def test_each_rule_can_fail(self):
        self.assert_problem("x" * 73 + BODY, "73 characters")
        self.assert_problem("Do it." + BODY, "full stop")
        self.assert_problem("Do it\nThe reason takes a sentence of more than eight words here.", "second line")
        self.assert_problem("Do it", "no body")
        self.assert_problem("Do it\n\nBecause.", "no body")
        self.assert_problem("Do it\n\nSigned-off-by: a name that has a great many words to it <a@b>", "no body")
        self.assert_problem("", "empty")


@unittest.skipUnless(shutil.which("git"), "needs git")
class Repositories(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = self.folder.name
        self.git("init", "-q")
        self.commit("An old message that has no body")

    def git(self, *arguments, root=None):
        environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", HOME=self.root)
        for person in ("AUTHOR", "COMMITTER"):
            environment["GIT_%s_NAME" % person] = "A"
            environment["GIT_%s_EMAIL" % person] = "a@b"
        run = subprocess.run(
            ["git", "-C", root or self.root] + list(arguments), check=True, env=environment, stdout=subprocess.PIPE
        )
        return run.stdout.decode().strip()

    def commit(self, message):
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def publish(self):
        self.git("update-ref", check_commits.PUBLISHED, "HEAD")

    def check(self, first_checked=FIRST_CHECKED, root=None):
        return check_commits.check(root or self.root, first_checked=first_checked)

    def test_what_is_published_is_not_checked(self):
        self.publish()
        self.commit("A good one" + BODY)
        self.assertEqual(self.check(), ([], 1))
        bad = self.commit("Another without a body")
        problems, count = self.check()
        self.assertEqual((len(problems), count), (1, 2))
        self.assertTrue(bad.startswith(problems[0].split(":")[0]))

    def test_without_a_remote_the_fixed_commit_is_the_beginning(self):
        first = self.git("rev-parse", "HEAD")
        self.commit("Without a body")
        self.assertEqual(len(self.check(first_checked=first)[0]), 1)
        self.assertEqual(self.check(), ([], 0))

    def test_merges_are_exempt(self):
        self.publish()
        main = self.git("rev-parse", "--abbrev-ref", "HEAD")
        self.git("checkout", "-q", "-b", "side")
        self.commit("Sideways" + BODY)
        self.git("checkout", "-q", main)
        self.commit("Straight on" + BODY)
        self.git("merge", "-q", "--no-ff", "-m", "Merge side", "side")
        self.assertEqual(self.check(), ([], 2))

    def test_a_tree_without_a_history_has_nothing_to_check(self):
        self.publish()
        self.commit("Without a body")
        inner = os.path.join(self.root, "unpacked")
        os.mkdir(inner)
        self.assertEqual(self.check(root=inner), ([], 0))
        with tempfile.TemporaryDirectory() as outside:
            self.assertEqual(self.check(root=outside), ([], 0))

    def test_a_shallow_clone_is_checked_as_far_as_it_goes(self):
        first = self.git("rev-parse", "HEAD")
        self.commit("Without a body")
        self.commit("A good one" + BODY)
        with tempfile.TemporaryDirectory() as outside:
            self.git("clone", "-q", "--depth", "1", "file://" + self.root, outside + "/clone")
            self.git("update-ref", "-d", "refs/remotes/origin/HEAD", root=outside + "/clone")
            self.assertEqual(self.check(first_checked=first, root=outside + "/clone")[0], [])


if __name__ == "__main__":
    unittest.main()
