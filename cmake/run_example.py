# SPDX-License-Identifier: BSL-1.0
"""Runs an example and checks what it prints.

The expect file has one regular expression a line; they must match lines of the output, in this order. Empty lines and
lines that begin with # do not count, except "# status: N": the example must end with N, and with 0 without it.

The args file, if there is one, holds the arguments as one would type them. @HERE@ stands for the folder of the args
file. @REPLAY@ stands for a token of the example itself: it is run without this option first, and the last line
"replay: TOKEN" that it prints says which.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys


def arguments_from(path):
    if not path:
        return []
    text = pathlib.Path(path).read_text(encoding="utf-8")
    here = str(pathlib.Path(path).resolve().parent)
    return [word.replace("@HERE@", here) for word in shlex.split(text, comments=True)]


def run(command):
    """(what it printed, how it ended)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout, done.returncode


def with_token(command):
    """The command with @REPLAY@ replaced."""
    if "@REPLAY@" not in command:
        return command
    at = command.index("@REPLAY@")
    printed, _ = run(command[: at - 1] + command[at + 1 :])
    tokens = re.findall(r"^ *replay: (\S+)", printed, re.MULTILINE)
    if not tokens:
        sys.exit(f"{printed}{command[0]}: prints no line replay: TOKEN")
    return command[:at] + [tokens[-1]] + command[at + 1 :]


def first_unmatched(patterns, lines):
    """The first (line number, pattern) without a match after the match of the one before; None when all match."""
    position = 0
    for number, pattern in patterns:
        while position < len(lines) and not re.search(pattern, lines[position]):
            position += 1
        if position == len(lines):
            return number, pattern
        position += 1
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--expect", required=True)
    parser.add_argument("--args", default="")
    options = parser.parse_args()

    if not pathlib.Path(options.expect).is_file():
        sys.exit(f"{options.expect}: does not exist; it says what the example prints")
    text = pathlib.Path(options.expect).read_text(encoding="utf-8")
    patterns = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not patterns:
        sys.exit(f"{options.expect}:1: expects nothing")

    status = re.search(r"^# status: (\d+)$", text, re.MULTILINE)
    wanted = int(status.group(1)) if status else 0
    printed, ended = run(with_token([options.program, *arguments_from(options.args)]))
    print(printed, end="")
    if ended != wanted:
        sys.exit(f"{options.program}: ended with {ended}, not {wanted}")
    miss = first_unmatched(patterns, printed.splitlines())
    if miss:
        sys.exit(f"{options.expect}:{miss[0]}: nothing in the output (after the lines before) matches: {miss[1]}")


main()
