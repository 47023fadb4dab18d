"""Answers the questions of one test of the tool, a line each: starting a Python for each takes longer than the tool itself.

json           whether the file stdout is one JSON object; answers its member exit_code
field A.B      answers that member of it
run            runs the file code.py, and answers whether it came to its end

An answer begins with "right " or "wrong "; what was wrong goes to stderr.
"""
import contextlib
import json
import sys
import traceback


def member(names):
    value = json.load(open("stdout"))
    for name in names.split("."):
        value = value[name]
    return value


def answer(question):
    word, _, names = question.partition(" ")
    if word == "run":
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile(open("code.py").read(), "code.py", "exec"), {})
        return ""
    return str(member("exit_code" if word == "json" else names)).replace("\n", " ")


for line in sys.stdin:
    try:
        print("right", answer(line.rstrip("\n")), flush=True)
    except Exception:
        traceback.print_exc()
        print("wrong", flush=True)
