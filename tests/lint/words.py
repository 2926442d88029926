# SPDX-License-Identifier: BSL-1.0
"""No path of somebody's machine, no promise to finish later, no tabs, no trailing spaces."""

import pathlib
import re

import house

SUFFIXES = {".hpp", ".cpp", ".py", ".sh", ".cmake", ".in", ".txt", ".md", ".json", ".expect", ".args", ""}
LEFT_OUT = {".git", "build", "__pycache__", ".cache"}
# Real files of other programs, kept as they are (a maps file has trailing spaces and somebody's paths).
DATA = re.compile(r"(^|/)data/|\.maps$")

MACHINE_PATH = re.compile(r"(?<![\w.}$>)])/(?:home|root|work|workspace|Users|builds?|mnt)/\w+")
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")


def files(root):
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        parts = relative.parts
        if path.is_symlink() or not path.is_file() or LEFT_OUT & set(parts):
            continue
        if parts[:3] == ("tests", "lint", "samples") or DATA.search(relative.as_posix()):
            continue
        if path.suffix in SUFFIXES or parts[0].startswith("."):
            yield relative


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("words")
    count = 0
    for path in files(root):
        if path == pathlib.Path("expect.txt"):  # of selftest.py
            continue
        count += 1
        for number, line in enumerate((root / path).read_text(encoding="utf-8").split("\n"), 1):
            hit = MACHINE_PATH.search(line)
            if hit:
                report.add(path, number, f"`{hit.group()}` is a path of one machine")
            hit = LATER.search(line)
            if hit:
                report.add(path, number, f"`{hit.group()}`: do it, or say in a sentence what is missing")
            if "\t" in line:
                report.add(path, number, "tab")
            if line != line.rstrip():
                report.add(path, number, "trailing space")
    report.finish(f"{count} files")


main()
