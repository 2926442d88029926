# SPDX-License-Identifier: BSL-1.0
"""Short headers, short functions, short lines; modes are enums; page-table bits are known under paging/ only."""

import re

import house

MAX_HEADER = 500
NOTE_HEADER = 400
MAX_FUNCTION = 40
LONG_FUNCTIONS_ALLOWED = 0.01  # of all functions
MAX_COLUMNS = 100

# Folders where numbers in hexadecimal and shifts by page-table constants have a meaning of their own.
BITS_AT_HOME = {"paging", "vocab", "machine", "explore"}
BITS = re.compile(r"\b0[xX][0-9a-fA-F']+\w*|(?:<<|>>)\s*(?:9|12|21|30|39|48|52|57|63)\b")


def check_lines(report, path, source):
    count = len(source.text.splitlines())
    if count > MAX_HEADER:
        report.add(path, 1, f"{count} lines (at most {MAX_HEADER}): two concepts in one header?")
    elif count > NOTE_HEADER:
        report.note(path, 1, f"{count} lines, near the limit of {MAX_HEADER}")
    for number, line in enumerate(source.lines, 1):
        if len(line) > MAX_COLUMNS:
            report.add(path, number, f"{len(line)} columns (at most {MAX_COLUMNS})")


def check_bits(report, path, source):
    if house.folder(path) in BITS_AT_HOME or house.folder(path) == "":
        return
    for match in BITS.finditer(source.code):
        line = source.line(match.start())
        if "bits:" not in source.comment_on(line, line):
            report.add(path, line, f"`{match.group()}`: bits of an entry are known under paging/ only"
                       " (say `// bits: why` when these are others)")


def check_parameters(report, path, declaration):
    """A bool parameter does not read as a sentence at the call; one named `condition` is a truth, not a mode."""
    if not declaration.public or declaration.kind != "function":
        return
    for parameter in house.split_top(declaration.parameters):
        words = parameter.split("=")[0].split()
        words = [word for word in words if word != "const"]
        if words and words[0] in ("bool", "bool&", "bool&&") and words[-1] != "condition":
            name = declaration.name or "a function"
            report.add(path, declaration.line, f"bool parameter of {name}: an enum says what is meant")


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("sizes")
    functions, long_functions, lengths = 0, [], []
    for path, source in house.headers(root):
        lengths.append(len(source.text.splitlines()))
        check_lines(report, path, source)
        check_bits(report, path, source)
        for declaration in house.Declarations(source).found:
            check_parameters(report, path, declaration)
            if declaration.kind == "function" and declaration.body_lines:
                functions += 1
                if declaration.body_lines > MAX_FUNCTION:
                    long_functions.append((path, declaration))
    if len(long_functions) > LONG_FUNCTIONS_ALLOWED * functions:
        for path, declaration in long_functions:
            report.add(path, declaration.line, f"{declaration.name} has {declaration.body_lines} lines"
                       f" (over {MAX_FUNCTION}: at most {LONG_FUNCTIONS_ALLOWED:.0%} of all functions)")
    lengths.sort()
    median, longest = (lengths[len(lengths) // 2], lengths[-1]) if lengths else (0, 0)
    report.finish(f"{len(lengths)} headers of {median} lines in the middle and {longest} at most, "
                  f"{functions} functions, {len(long_functions)} over {MAX_FUNCTION} lines")


main()
