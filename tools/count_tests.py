#!/usr/bin/env python3
"""Counts the test cases of one `bazel test` run.

Reads the build event file (--build_event_json_file) and the test.xml of each test it names, and prints two numbers,
passed and failed; what failed goes to standard error. The rules:
  - of several attempts at a test the last counts;
  - every <testcase> counts, except those that were not run or are skipped;
  - a test that did not pass but shows no failed case (a crash, a timeout) is one failure;
  - a test that was to run and has no result (it did not build, say) is one failure;
  - a run that failed without any of these is one failure.
"""

import argparse
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def read_events(path):
    """The events of a run; none when Bazel died before it wrote any. The last line may be cut off."""
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    return
    except FileNotFoundError:
        return


def collect(events):
    """Returns ({(label, run, shard): (attempt, result)}, {labels that were to run})."""
    results = {}
    expected = set()
    for event in events:
        identity = event.get("id", {})
        if "testResult" in identity and "testResult" in event:
            key = identity["testResult"]
            place = (key["label"], key.get("run", 1), key.get("shard", 1))
            attempt = key.get("attempt", 1)
            if place not in results or results[place][0] <= attempt:
                results[place] = (attempt, event["testResult"])
        elif "targetConfigured" in identity and "configured" in event:
            if event["configured"].get("targetKind", "").endswith("_test rule"):
                expected.add(identity["targetConfigured"]["label"])
    return results, expected


def xml_path(result):
    for output in result.get("testActionOutput", []):
        if output.get("name") == "test.xml":
            uri = urllib.parse.urlparse(output.get("uri", ""))
            if uri.scheme == "file":
                return urllib.parse.unquote(uri.path)
    return None


def count_cases(path):
    """Returns (cases that passed, names of those that failed)."""
    passed = 0
    failed = []
    for case in ElementTree.parse(path).iter("testcase"):
        if case.get("status") == "notrun" or case.get("result") in ("suppressed", "skipped"):
            continue
        if case.find("skipped") is not None:
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append("%s.%s" % (case.get("classname", ""), case.get("name", "")))
        else:
            passed += 1
    return passed, failed


def count_run(events, exit_code):
    """Returns (number passed, descriptions of the failures)."""
    results, expected = collect(events)
    passed = 0
    failures = []
    for (label, run, shard), (_, result) in sorted(results.items(), key=lambda item: item[0]):
        path = xml_path(result)
        cases_passed, cases_failed = 0, []
        broken = None
        try:
            if path is not None:
                cases_passed, cases_failed = count_cases(path)
        except (OSError, ElementTree.ParseError) as error:
            broken = "unreadable test.xml: %s" % error
        passed += cases_passed
        failures += ["%s %s" % (label, name) for name in cases_failed]
        status = result.get("status", "NO_STATUS")
        if not cases_failed and (status != "PASSED" or path is None or broken is not None):
            failures.append("%s (run %s, shard %s): %s" % (label, run, shard, broken or status))
    tested = {label for label, _, _ in results}
    failures += ["%s: no result" % label for label in sorted(expected - tested)]
    if exit_code != 0 and not failures:
        failures.append("bazel ended with code %d" % exit_code)
    return passed, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", help="what --build_event_json_file wrote")
    parser.add_argument("--exit-code", type=int, default=0, help="what bazel returned")
    arguments = parser.parse_args()
    passed, failures = count_run(read_events(arguments.events), arguments.exit_code)
    for failure in failures:
        print("FAILED: %s" % failure, file=sys.stderr)
    print(passed, len(failures))


if __name__ == "__main__":
    main()
