# SPDX-License-Identifier: BSL-1.0
"""Memory orders come in named pairs.

An atomic access names its order and its label:  slot.store(word, release("table.publish"));
A fence names its site:                           M::heavy_fence(at("hazard.retire"));
The comment right above (or on the same lines) says `(label)` and either `pairs with (a, b)` or `alone: why`:

    // (table.publish) the filled table becomes visible; pairs with (walk.descend).
    slot.store(word, release("table.publish"));

Labels are unique, partners exist and name the label back, no access relies on a default order. `relaxed` needs no
label. machine/ and explore/ define these things and are not looked at; requirements of a concept access nothing.
"""

import re

import house

LABELLED = re.compile(r'\b(acquire|release|acq_rel|seq_cst|at)\s*\(\s*"([^"]*)"\s*\)')
ACCESS = re.compile(
    r"(?:\.|->)\s*(?:template\s+)?(load|store|exchange|compare_exchange(?:_weak|_strong)?|fetch_(?:add|sub|or|and|xor)"
    r"|bit_test_and_\w+|test_and_set|opaque_\w+)\s*\(")
FENCE = re.compile(r"\b(fence|light_fence|heavy_fence|thread_fence|full_fence)\s*\(")
# With so many arguments a call leaves the order to a default; members of other classes that share a name have more.
ARGUMENTS_WITHOUT_ORDER = {"load": 0, "store": 1, "exchange": 1, "compare": 2, "fetch": 1, "bit": 1, "test": 0, "opaque": 1}
ORDER_WORD = re.compile(r"\b(relaxed|acquire|release|acq_rel|seq_cst|\w*order\w*)\b", re.IGNORECASE)
UNLABELLED = re.compile(r'\b(acquire|release|acq_rel|seq_cst)\b(?!\s*\(\s*")')
LABEL_SHAPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


def without_concepts(source):
    """The same source, its concepts blanked out."""
    lines = list(source.lines)
    for declaration in house.Declarations(source).found:
        if declaration.kind == "concept":
            for number in range(declaration.line, declaration.end_line + 1):
                lines[number - 1] = ""
    return house.Source("\n".join(lines))


def statement_start(code, offset):
    """The first line-opening character of the statement around `offset`; one-line bodies count as their whole line."""
    opens = []  # innermost last: offsets of the brackets that are open at `offset`
    start_of = {None: 0}
    for position in range(offset):
        char = code[position]
        inner = opens[-1] if opens else None
        if char in "([{":
            opens.append(position)
            start_of[position] = position + 1
        elif char in ")]}":
            if opens:
                opens.pop()
            if char == "}":
                start_of[opens[-1] if opens else None] = position + 1
        elif char == ";" and (inner is None or code[inner] == "{"):
            start_of[inner] = position + 1
    for bracket in reversed([None] + opens):
        if bracket is not None and code[bracket] != "{":
            continue
        start = start_of[bracket]
        start += len(code[start:offset]) - len(code[start:offset].lstrip())
        line_begin = code.rfind("\n", 0, start) + 1
        if not code[line_begin:start].strip():
            return start
    return start


def comment_of(source, statement, access):
    """Every comment that may speak about the access: above it, above its statement, or trailing."""
    first = source.line(statement)
    last = source.line(access.end())
    here = source.line(access.start())
    close = re.compile(r";").search(source.code, access.end())
    if close:
        last = max(last, min(source.line(close.start()), last + 3))
    parts = [source.comment_above(first)]
    for number in range(first + 1, here + 1):
        if source.code_line(number).strip():
            parts.append(source.comment_above(number))
    parts.append(source.comment_on(first, last))
    return "\n".join(part for part in parts if part)


def claims(comment, labels):
    """{label: (partners, says alone)} for those of `labels` that the comment speaks about."""
    partner_lists = list(re.finditer(r"[Pp]airs\s+with\s+\(([^)]*)\)", comment))
    bare = comment
    for match in partner_lists:
        bare = bare[: match.start()] + " " * len(match.group()) + bare[match.end() :]
    marks = sorted((m.start(), m.group(1)) for m in re.finditer(r"\(([^()\s]+)\)", bare) if m.group(1) in labels)
    result = {}
    for index, (start, label) in enumerate(marks):
        end = marks[index + 1][0] if index + 1 < len(marks) else len(comment)
        partners, _ = result.get(label, ([], False))
        for match in partner_lists:
            if start < match.start() < end:
                partners = partners + [p.strip() for p in match.group(1).replace("\n", " ").split(",") if p.strip()]
        alone = re.search(r"\b[Aa]lone:\s*\S+", bare[start:end]) is not None
        result[label] = (partners, alone or result.get(label, ([], False))[1])
    return result


def arguments_at(source, match):
    """The text between the parentheses of a call, literals kept."""
    open_bracket = match.end() - 1
    return source.code_with_strings[open_bracket + 1 : house.matching(source.code, open_bracket)]


def check_accesses(report, path, source):
    """No default order, no order without a label, nothing of <atomic>'s own names."""
    for match in ACCESS.finditer(source.code):
        arguments = arguments_at(source, match)
        line = source.line(match.start(1))
        count = len(house.split_top(arguments))
        if not ORDER_WORD.search(arguments):
            if count != ARGUMENTS_WITHOUT_ORDER[match.group(1).split("_")[0]]:
                continue
            report.add(path, line, f"{match.group(1)}() without an order: say relaxed, or an order with its label")
        elif UNLABELLED.search(arguments):
            report.add(path, line, f"{match.group(1)}() with an order that has no label")
    for match in FENCE.finditer(source.code):
        arguments = arguments_at(source, match)
        before = source.code[max(0, match.start() - 2) : match.start()]
        if before == "::" and not LABELLED.search(arguments) and not re.search(r"\b(where|site|order)\b", arguments):
            report.add(path, source.line(match.start()), f"{match.group(1)}() without a site: at(\"label\")")
    for match in re.finditer(r"\b(std::|boost::)?memory_order_\w+|\b(std|boost)::memory_order\b", source.code):
        report.add(path, source.line(match.start()), f"{match.group()}: orders are named by their labels")


def collect(report, path, source, sites):
    """Adds every labelled access to `sites`: {label: (path, line, partners)}."""
    found = [m for m in LABELLED.finditer(source.code_with_strings) if source.code[m.start()] == m.group()[0]]
    code = house.without_preprocessor(source.code)
    statement = {m.start(): statement_start(code, m.start()) for m in found}
    for match in found:
        # Only the labels of this statement divide its comment; others may be mentioned in it.
        own = {m.group(2) for m in found if statement[m.start()] == statement[match.start()]}
        label, line = match.group(2), source.line(match.start())
        if not LABEL_SHAPE.fullmatch(label):
            report.add(path, line, f'label "{label}" is not of the form "what.where"')
        if label in sites:
            other, where, _ = sites[label]
            report.add(path, line, f'label "{label}" is taken: {other}:{where}')
            continue
        comment = comment_of(source, statement[match.start()], match)
        spoken = claims(comment, own)
        partners, alone = spoken.get(label, (None, False))
        sites[label] = (path, line, partners or [])
        if partners is None:
            report.add(path, line, f'no comment right above says "({label})"')
        elif not partners and not alone:
            report.add(path, line, f'the comment of ({label}) says neither "pairs with (...)" nor "alone: why"')


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("orders")
    sites = {}
    for path, source in house.headers(root):
        if house.folder(path) in ("machine", "explore"):
            continue
        source = without_concepts(source)
        check_accesses(report, path, source)
        collect(report, path, source, sites)
    for label, (path, line, partners) in sites.items():
        for partner in partners:
            if partner not in sites:
                report.add(path, line, f"({label}) pairs with ({partner}), which does not exist")
            elif label not in sites[partner][2]:
                report.add(path, line, f"({label}) pairs with ({partner}), which does not name it back")
    report.finish(f"{len(sites)} labels")


main()
