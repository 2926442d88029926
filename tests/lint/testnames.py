# SPDX-License-Identifier: BSL-1.0
"""Names of test cases pass through Catch's and CMake's lists: some characters would lose the test case.

Also: a name stands for one test case of its executable (all of tests/unit/<folder>, or all of tests/<folder>).
"""

import re

import house

CASE = re.compile(r'\b(?:TEMPLATE_(?:LIST_)?TEST_CASE|TEST_CASE)\s*\(\s*"((?:[^"\\]|\\.)*)"')


def fault(name):
    """What is wrong with a name, or None."""
    bad = sorted(set(re.findall(r"[\[\];\\]", name)))
    if bad:
        return "may not contain " + " ".join(bad)
    if name != name.strip() or not name:
        return "is empty, or begins or ends with a space"
    if re.match(r"[~*#-]|exclude:", name) or name.endswith("*"):
        return "begins or ends with a character that means something to Catch"
    return None


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("testnames")
    seen = {}
    for path in sorted((root / "tests").rglob("*.cpp")):
        relative = path.relative_to(root)
        if relative.parts[1] in ("lint", "consumer", "compile_fail"):
            continue
        source = house.Source(path.read_text(encoding="utf-8"))
        executable = relative.parts[1:3] if relative.parts[1] == "unit" else relative.parts[1:2]
        for match in CASE.finditer(source.code_with_strings):
            name, line = match.group(1), source.line(match.start())
            wrong = fault(name)
            if wrong:
                report.add(relative, line, f'the name "{name}" {wrong}')
            if (executable, name) in seen:
                report.add(relative, line, f'the name "{name}" is taken: {seen[executable, name]}')
            seen.setdefault((executable, name), f"{relative}:{line}")
    report.finish(f"{len(seen)} test cases")


main()
