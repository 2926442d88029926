# SPDX-License-Identifier: BSL-1.0
"""include/mmhold/X/Y.hpp has its tests in tests/unit/X/Y_test.cpp (laws/Y.hpp in tests/laws/Y_test.cpp).

tests/lint/mirror_exceptions.txt lists headers without a test of their own, one a line: "X/Y.hpp: reason".
"""

import house


def read_exceptions(root, report):
    file = "tests/lint/mirror_exceptions.txt"
    exceptions = {}
    if (root / file).is_file():
        for number, line in enumerate((root / file).read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            header, _, reason = line.partition(":")
            exceptions[header.strip()] = number
            if not reason.strip():
                report.add(file, number, f"{header.strip()} has no reason")
            if not (root / house.HEADERS / header.strip()).is_file():
                report.add(file, number, f"{header.strip()} does not exist")
    return exceptions, file


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("mirror")
    exceptions, file = read_exceptions(root, report)
    count = 0
    for path, _ in house.headers(root):
        name = house.inside(path)
        if not house.folder(path):
            continue
        count += 1
        where = "tests" if name.parts[0] == "laws" else "tests/unit"
        test = f"{where}/{name.with_suffix('')}_test.cpp"
        exists = (root / test).is_file()
        if exists and str(name) in exceptions:
            report.add(file, exceptions[str(name)], f"{name} has a test now: no exception any more")
        if not exists and str(name) not in exceptions:
            report.add(path, 1, f"has no {test}")
    report.finish(f"{count} headers, {len(exceptions)} exceptions")


main()
