# SPDX-License-Identifier: BSL-1.0
"""Runs an example and checks what it prints.

The expect file has one regular expression a line; they must match lines of the output, in this order. Empty lines and
lines that begin with # do not count. The args file, if there is one, holds the arguments as one would type them;
@HERE@ stands for the folder of the args file. The example must end with 0.
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

    command = [options.program, *arguments_from(options.args)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(run.stdout, end="")
    if run.returncode != 0:
        sys.exit(f"{options.program}: ended with {run.returncode}")
    miss = first_unmatched(patterns, run.stdout.splitlines())
    if miss:
        sys.exit(f"{options.expect}:{miss[0]}: nothing in the output (after the lines before) matches: {miss[1]}")


main()
