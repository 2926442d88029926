# SPDX-License-Identifier: BSL-1.0
"""fwd.hpp is the index: it names the class or concept that each header is named after."""

import re

import house


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("fwdindex")
    index = root / house.HEADERS / "fwd.hpp"
    words = set(re.findall(r"\w+", index.read_text(encoding="utf-8"))) if index.is_file() else set()
    if not index.is_file():
        report.add(f"{house.HEADERS}/fwd.hpp", 1, "does not exist")
    count = 0
    for path, source in house.headers(root):
        if not house.folder(path) or not index.is_file():
            continue
        for declaration in house.Declarations(source).found:
            same = declaration.name.lower().replace("_", "") == path.stem.lower().replace("_", "")
            if same and declaration.kind in ("type", "concept") and declaration.public and not declaration.in_class:
                count += 1
                if declaration.name not in words:
                    report.add(path, declaration.line, f"{declaration.name} is not named in fwd.hpp")
                break
    report.finish(f"{count} names")


main()
