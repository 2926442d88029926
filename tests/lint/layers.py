# SPDX-License-Identifier: BSL-1.0
"""A header includes its own folder and lower ranks only (cmake/layers.txt); no cycles; chains stay short."""

import sys

import house

MAX_DEPTH = 16  # ten ranks, each one or two headers deep
EVERYWHERE = {"config.hpp"}  # may be included by every header
# May include everything; the library itself does not include them.
UMBRELLAS = {"mmhold.hpp", "concepts.hpp", "fwd.hpp"}


def read_layers(root):
    ranks, barred = {}, {}
    for line in (root / "cmake/layers.txt").read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if words:
            ranks[words[0]] = len(ranks)
            barred[words[0]] = set(words[2:])
    return ranks, barred


def resolve(root, path, name, quoted):
    """The included header as seen from include/mmhold; None when it is not ours."""
    base = root / house.HEADERS
    if name.startswith("mmhold/"):
        return name[len("mmhold/") :]
    if quoted:
        target = ((root / path).parent / name).resolve()
        return str(target.relative_to(base)) if target.is_relative_to(base) else name
    return None


def check_pair(report, path, line, target, ranks, barred):
    """One include: from `path`, of `target`."""
    folder = house.folder(path)
    name = str(house.inside(path))
    if target in EVERYWHERE and name not in EVERYWHERE:
        return
    if name in EVERYWHERE:
        report.add(path, line, f"{name} is included everywhere, so it may not include {target}")
        return
    if name in UMBRELLAS:
        return
    if target in UMBRELLAS:
        report.add(path, line, f"{target} is for users; include the header that is meant")
        return
    other = target.split("/")[0] if "/" in target else ""
    if other not in ranks:
        report.add(path, line, f"includes {target}, whose folder is not in cmake/layers.txt")
    elif folder in ranks and (ranks[other] > ranks[folder] or other in barred[folder]):
        report.add(path, line, f"{folder}/ may not include {other}/ (cmake/layers.txt)")


def find_cycle(graph):
    """One include cycle as a list of headers, or None."""
    done, stack = set(), []

    def visit(node):
        if node in stack:
            return stack[stack.index(node) :] + [node]
        if node in done:
            return None
        stack.append(node)
        for target, _ in graph.get(node, []):
            cycle = visit(target)
            if cycle:
                return cycle
        stack.pop()
        done.add(node)
        return None

    for node in sorted(graph):
        cycle = visit(node)
        if cycle:
            return cycle
    return None


def deepest(graph):
    """The longest chain of includes that starts at each header."""
    memo = {}

    def chain(node):
        if node not in memo:
            tails = [chain(target) for target, _ in graph.get(node, [])]
            memo[node] = [node] + max(tails, key=len, default=[])
        return memo[node]

    return {node: chain(node) for node in graph}


def main():
    sys.setrecursionlimit(10000)
    root = house.root_from_arguments(__doc__)
    report = house.Report("layers")
    ranks, barred = read_layers(root)
    graph = {}
    for path, source in house.headers(root):
        name, folder = str(house.inside(path)), house.folder(path)
        if folder and folder not in ranks:
            report.add(path, 1, f"the folder {folder}/ is not in cmake/layers.txt")
        graph[name] = []
        for line, included, quoted in house.includes(source):
            target = resolve(root, path, included, quoted)
            if target is None:
                continue
            if not (root / house.HEADERS / target).is_file():
                report.add(path, line, f"includes {included}, which does not exist")
                continue
            graph[name].append((target, line))
            check_pair(report, path, line, target, ranks, barred)
    cycle = find_cycle(graph)
    depth = 0
    if cycle:
        line = next(line for target, line in graph[cycle[0]] if target == cycle[1])
        report.add(f"{house.HEADERS}/{cycle[0]}", line, "include cycle: " + " -> ".join(cycle))
    else:
        for name, chain in deepest(graph).items():
            depth = max(depth, len(chain))
            if len(chain) > MAX_DEPTH and name not in UMBRELLAS:
                sentence = f"include chain of {len(chain)} headers (at most {MAX_DEPTH}): " + " -> ".join(chain)
                report.add(f"{house.HEADERS}/{name}", 1, sentence)
    report.finish(f"{len(graph)} headers, longest chain {depth}")


main()
