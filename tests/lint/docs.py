# SPDX-License-Identifier: BSL-1.0
"""Every public class, concept and function says what it is for, in a comment right above.

Public: in include/mmhold, outside namespace detail, not in a private section. One comment may stand above a block of
functions that no blank line divides. What has one meaning only needs none: copying and moving, destructors, comparison,
swap, deduction guides, defaulted and deleted functions, and the definition of a member that its class has declared
above. A comment there would restate. Neither do the members of a model that its concept speaks about, if the comment of
the class says so: "Members: see Machine."
"""

import re

import house

TYPES_DOCUMENTED = 1.00  # of classes, enums and concepts
FUNCTIONS_DOCUMENTED = 0.90


ONE_MEANING = {"operator==", "operator!=", "operator<=>", "swap", "operator bool"}


def copies_or_moves(declaration):
    """A constructor or assignment whose one parameter is a reference to its own class."""
    own = declaration.scope[-1] if declaration.scope else ""
    if not declaration.in_class or declaration.name not in (own, "operator="):
        return False
    return re.fullmatch(rf"\s*(const\s+)?{own}(<[^()]*>)?\s*(const\s*)?&&?\s*\w*\s*", declaration.parameters) is not None


def wants_comment(declaration):
    if not declaration.public or not declaration.name:
        return False
    if declaration.kind in ("type", "concept"):
        return not re.search(r"^friend\b|\b(struct|class) std::", declaration.text)
    if declaration.kind != "function" or declaration.name.startswith("~"):
        return False
    if declaration.name in ONE_MEANING or copies_or_moves(declaration):
        return False
    text = declaration.text
    if not declaration.in_class and re.search(rf"::\s*{re.escape(declaration.name)}\s*\(", text):
        return False
    if re.search(r"=\s*(default|delete)\s*$", text):
        return False
    after = re.sub(r"\s+", " ", house.strip_templates(text)).strip()
    guide = re.match(rf"(explicit(\([^)]*\))? )?{re.escape(declaration.name)} ?\(.*\) ?->", after)
    return not guide


def documented(declaration, source):
    return bool(source.comment_above(declaration.line).strip()
                or source.comment_on(declaration.line, declaration.head_end).strip())


def concept_words(sources):
    """{concept: the words of its requirements, and of the concepts it is made of}"""
    words = {}
    for _, source in sources:
        for declaration in house.Declarations(source).found:
            if declaration.kind == "concept":
                lines = [source.code_line(n) for n in range(declaration.line, declaration.end_line + 1)]
                words[declaration.name] = set(re.findall(r"\w+", "\n".join(lines)))
    return {name: spelled_out(name, words, set()) for name in words}


def spelled_out(name, words, seen):
    if name in seen:
        return set()
    seen.add(name)
    parts = [spelled_out(word, words, seen) for word in words[name] if word in words]
    return words[name].union(*parts)


def explained_by_concept(source, concepts):
    """{class: the member names that the concept in "Members: see X" speaks about}"""
    explained = {}
    for declaration in house.Declarations(source).found:
        if declaration.kind == "type":
            named = re.search(r"Members: see\s+(\w+(?:(?:,|\s+and)\s+\w+)*)", source.comment_above(declaration.line))
            names = re.findall(r"\w+", named.group(1)) if named else []
            explained[declaration.name] = set().union(*(concepts.get(name, set()) for name in names))
    return explained


def judge(source, concepts):
    """(declaration, has a comment) for each declaration that wants one."""
    explained = explained_by_concept(source, concepts)
    previous = None  # (end line, has a comment, scope, kind): the declaration right before
    for declaration in house.Declarations(source).found:
        has = documented(declaration, source)
        if not has and previous and declaration.kind == "function" and previous[3] == "function":
            adjacent = declaration.line == previous[0] + 1 and declaration.scope == previous[2]
            has = adjacent and previous[1]
        if declaration.kind == "function" and declaration.in_class:
            has = has or declaration.name in explained.get(declaration.scope[-1], set())
        previous = (declaration.end_line, has, declaration.scope, declaration.kind)
        if wants_comment(declaration):
            yield declaration, has


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("docs")
    counts = {"types": [0, 0], "functions": [0, 0]}  # [with a comment, all]
    missing = {"types": [], "functions": []}
    sources = [(path, source) for path, source in house.headers(root) if path.name != "fwd.hpp"]
    concepts = concept_words(sources)
    for path, source in sources:
        for declaration, has in judge(source, concepts):
            kind = "functions" if declaration.kind == "function" else "types"
            counts[kind][0] += has
            counts[kind][1] += 1
            if not has:
                missing[kind].append((path, declaration))
    for kind, floor in (("types", TYPES_DOCUMENTED), ("functions", FUNCTIONS_DOCUMENTED)):
        have, total = counts[kind]
        tell = report.add if total and have / total < floor else report.note
        for path, declaration in missing[kind]:
            tell(path, declaration.line, f"{declaration.kind} {declaration.name} has no comment")
    shares = ", ".join(f"{have} of {total} {kind}" for kind, (have, total) in counts.items())
    report.finish(f"{shares} documented")


main()
