# SPDX-License-Identifier: BSL-1.0
"""What the lints share: finding files, reading C++ well enough, reporting.

A lint is a program `<rule>.py [--root DIR]` that prints one "file:line: sentence" per finding and exits with 1 when
there was one. It reads the tree below DIR, so that selftest.py can point it at a small tree of bad samples.
"""

import argparse
import bisect
import dataclasses
import pathlib
import re
import sys

HEADERS = "include/mmhold"


class Report:
    """Collects the findings of one rule and ends the program."""

    def __init__(self, rule):
        self.rule = rule
        self.findings = []

    def add(self, path, line, sentence):
        self.findings.append((str(path), line, sentence))

    def note(self, path, line, sentence):
        """Worth knowing, no reason to fail."""
        print(f"note: {path}:{line}: {sentence}")

    def finish(self, summary):
        for path, line, sentence in sorted(set(self.findings)):
            print(f"{path}:{line}: {sentence}")
        print(f"{self.rule}: {summary}, {len(set(self.findings))} findings")
        sys.exit(1 if self.findings else 0)


def root_from_arguments(description):
    parser = argparse.ArgumentParser(description=description)
    default = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--root", type=pathlib.Path, default=default, help="top of the tree to look at")
    return parser.parse_args().root.resolve()


def headers(root):
    """Every header of the library, with its path as seen from the root."""
    for path in sorted((root / HEADERS).rglob("*.hpp")):
        yield path.relative_to(root), Source(path.read_text(encoding="utf-8"))


def inside(path):
    """include/mmhold/lock/rw_lock.hpp -> lock/rw_lock.hpp"""
    return pathlib.PurePosixPath(path).relative_to(HEADERS)


def folder(path):
    """The folder below include/mmhold; "" for the four headers at the top."""
    parts = inside(path).parts
    return parts[0] if len(parts) > 1 else ""


TOKEN = re.compile(
    r"""
      (?P<line_comment>//(?:[^\n\\]|\\.|\\\n)*)
    | (?P<block_comment>/\*.*?\*/)
    | (?P<raw>(?:u8|[uUL])?R"(?P<delimiter>[^()\s\\]{0,16})\(.*?\)(?P=delimiter)")
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>\b\d(?:'?[0-9a-zA-Z_.])*)
    | (?P<character>'(?:[^'\\\n]|\\.)+')
    """,
    re.VERBOSE | re.DOTALL,
)


def blank(text):
    """The same length and lines, nothing to read."""
    return re.sub(r"[^\n]", " ", text)


def without_preprocessor(code):
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: blank(m.group()), code, flags=re.MULTILINE)


class Source:
    """One file: the text, and the same text with comments (and literals) blanked out, offset for offset."""

    def __init__(self, text):
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.comments = []  # (first line, last line, text without markers, stands alone on its lines)
        code, with_strings, end = [], [], 0
        for match in TOKEN.finditer(text):
            token, kind = match.group(), match.lastgroup
            if match.start("raw") >= 0:
                kind = "raw"
            gap = text[end : match.start()]
            code.append(gap)
            with_strings.append(gap)
            end = match.end()
            if kind in ("line_comment", "block_comment"):
                self._add_comment(match.start(), token)
                code.append(blank(token))
                with_strings.append(blank(token))
            elif kind in ("string", "raw", "character"):
                code.append(token[0] + blank(token[1:-1]) + token[-1])
                with_strings.append(token)
            else:
                code.append(token)
                with_strings.append(token)
        code.append(text[end:])
        with_strings.append(text[end:])
        self.code = "".join(code)
        self.code_with_strings = "".join(with_strings)

    def _add_comment(self, start, token):
        first = self.line(start)
        last = self.line(start + len(token))
        before = self.text[self.starts[first - 1] : start]
        words = re.sub(r"^(///?<?|/\*\*?)|\*/$", "", token)
        self.comments.append((first, last, words, not before.strip()))

    def line(self, offset):
        """The line number, from 1, of a character."""
        return bisect.bisect_right(self.starts, offset)

    def code_line(self, number):
        """The line without comments and literals."""
        return self.code[self.starts[number - 1] : self.starts[number] - 1]

    def comment_above(self, number):
        """The comment block that ends on the line before `number`; "" when there is none."""
        words, wanted = [], number - 1
        for first, last, text, alone in reversed(self.comments):
            if last == wanted and alone:
                words.append(text)
                wanted = first - 1
        return "\n".join(reversed(words))

    def comment_on(self, first_line, last_line):
        """The comments that trail code on these lines."""
        return "\n".join(
            text for first, _, text, alone in self.comments if not alone and first_line <= first <= last_line)


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]*)>|"([^"\n]*)")', re.MULTILINE)


def includes(source):
    """(line, file name, in quotes) of every #include."""
    for match in INCLUDE.finditer(source.code_with_strings):
        yield source.line(match.start(1) if match.group(1) else match.start(2)), match.group(1) or match.group(2), bool(
            match.group(2))


CLOSING = {"(": ")", "{": "}", "[": "]"}


def matching(code, start):
    """The offset of the bracket that closes the one at `start`; the end of the text when none does."""
    stack = []
    for offset in range(start, len(code)):
        char = code[offset]
        if char in CLOSING:
            stack.append(CLOSING[char])
        elif stack and char == stack[-1]:
            stack.pop()
            if not stack:
                return offset
    return len(code)


def split_top(text, separator=","):
    """Splits at separators that stand outside of brackets and template argument lists."""
    parts, depth, current = [], 0, ""
    for char in text:
        if char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth -= 1
        if char == separator and depth <= 0:
            parts.append(current)
            current = ""
        else:
            current += char
    return parts + [current] if current.strip() else parts


@dataclasses.dataclass
class Declaration:
    kind: str  # "function", "type", "concept" or "other"
    name: str
    scope: tuple  # names of the namespaces and classes around it
    public: bool  # not in namespace detail, not in a private or protected section
    line: int  # where the declaration begins (its template<...>, its attributes)
    head_end: int  # where its body begins, or its last line without one
    end_line: int
    body_lines: int  # lines of the function body, 0 without one
    in_class: bool
    parameters: str
    text: str  # the declaration without its body


class _Scope:
    def __init__(self, kind, name, hidden, access):
        self.kind, self.name, self.hidden, self.access = kind, name, hidden, access


NOT_THE_NAME = re.compile(
    r"\b(?:alignas|decltype|noexcept|requires|explicit|throw|MMHOLD_\w+|__attribute__|static_assert)\s*$")
TYPE_HEAD = re.compile(r"\b(class|struct|union|enum(?:\s+(?:class|struct))?)\b([^;{}()=]*)$", re.DOTALL)


class Declarations:
    """A reader of namespace and class scopes; function bodies and initialisers are skipped.

    A heuristic on purpose: it knows the subset of C++ that this library is written in.
    """

    def __init__(self, source):
        self.source = source
        self.code = without_preprocessor(source.code)
        self.found = []
        self._read()

    def _read(self):
        scopes = [_Scope("namespace", "", False, "public")]
        offset, start = 0, 0
        while offset < len(self.code):
            char = self.code[offset]
            chunk = self.code[start:offset]
            if char in "([":
                offset = matching(self.code, offset) + 1
            elif char == ";":
                self._declaration(scopes, start, offset, None)
                offset = start = offset + 1
            elif char == "}":
                if len(scopes) > 1:
                    scopes.pop()
                offset = start = offset + 1
            elif char == ":" and re.fullmatch(r"\s*(public|protected|private)\s*", chunk):
                scopes[-1].access = chunk.strip()
                offset = start = offset + 1
            elif char == "{":
                offset, start = self._brace(scopes, start, offset)
            else:
                offset += 1

    def _brace(self, scopes, start, offset):
        """Decides what the brace at `offset` opens. Answers where to go on, and where the declaration began."""
        chunk = self.code[start:offset]
        bare = skeleton(chunk)
        here = scopes[-1]
        namespace = re.search(r"\bnamespace\b\s*([\w:\s]*)$", bare)
        if namespace or re.search(r'\bextern\s*"[^"]*"\s*$', bare):
            name = namespace.group(1).strip() if namespace else ""
            anonymous = bool(namespace) and not name
            hidden = here.hidden or anonymous or "detail" in name.split("::") or name == "std"
            scopes.append(_Scope("namespace", name, hidden, "public"))
            return offset + 1, offset + 1
        head = TYPE_HEAD.search(bare)
        if head and not re.search(r"\bconcept\b|=\s*$", bare) and "()" not in bare[: head.start()]:
            self._declaration(scopes, start, offset, None, is_type=True)
            close = matching(self.code, offset)
            if head.group(1).startswith("enum"):
                end = self.code.find(";", close)
                return end + 1, end + 1
            default = "private" if head.group(1) == "class" else "public"
            hidden = here.hidden or here.access != "public"
            scopes.append(_Scope("class", type_name(head), hidden, default))
            return offset + 1, offset + 1
        close = matching(self.code, offset)
        after = self.code[close + 1 :].lstrip()[:1]
        requirement = re.search(r"\brequires\s*(\(\))?\s*$", bare)
        initialiser = "=" in bare.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", "")
        if requirement or initialiser or "()" not in bare or after in (",", "{", ";", "."):
            return close + 1, start
        self._declaration(scopes, start, offset, close)
        return close + 1, close + 1

    def _declaration(self, scopes, start, end, close, is_type=False):
        chunk = self.code[start:end]
        lead = len(chunk) - len(chunk.lstrip())
        if not chunk.strip():
            return
        bare = skeleton(chunk)
        kind, name, parameters = self._classify(chunk, bare, is_type)
        here = scopes[-1]
        last = close if close is not None else end
        body = self.source.line(close) - self.source.line(end) + 1 if close is not None else 0
        self.found.append(
            Declaration(
                kind=kind,
                name=name,
                scope=tuple(s.name for s in scopes if s.name),
                public=not here.hidden and here.access == "public",
                line=self.source.line(start + lead),
                head_end=self.source.line(end),
                end_line=self.source.line(last),
                body_lines=body,
                in_class=here.kind == "class",
                parameters=parameters,
                text=" ".join(chunk.split())))

    @staticmethod
    def _classify(chunk, bare, is_type):
        concept = re.search(r"\bconcept\s+(\w+)", bare)
        if concept:
            return "concept", concept.group(1), ""
        if is_type:
            head = TYPE_HEAD.search(bare)
            return "type", type_name(head), ""
        if re.match(r"\s*(using|typedef|static_assert|friend\s+(class|struct)|extern\s+template)\b", bare):
            return "other", "", ""
        call = first_parameter_list(chunk)
        if call is None:
            return "other", "", ""
        name, parameters = call
        return "function", name, parameters


def type_name(head):
    """The name in what TYPE_HEAD found, without template arguments, bases and `final`."""
    words = re.findall(r"\w+", re.sub(r"<.*", "", re.split(r"(?<!:):(?!:)", head.group(2))[0], flags=re.DOTALL))
    return next((word for word in reversed(words) if word != "final"), "")


def skeleton(chunk):
    """The declaration without template heads, attributes and what stands in parentheses."""
    text = strip_templates(chunk)
    text = re.sub(r"\[\[.*?\]\]", " ", text, flags=re.DOTALL)
    text = re.sub(r"\bMMHOLD_\w+\s*\([^()]*\)|\bMMHOLD_\w+", " ", text)
    text = re.sub(r"\boperator\s*(\(\s*\)|\[\s*\]|[^\s\w(]+)", "operator_", text)
    out, offset = "", 0
    while offset < len(text):
        if text[offset] in "([{":
            close = matching(text, offset)
            out += {"(": "()", "[": "[]", "{": "{}"}[text[offset]]
            offset = close + 1
        else:
            out += text[offset]
            offset += 1
    return re.sub(r"\b(alignas|decltype|noexcept|explicit)\s*\(\)", " ", out)


def strip_templates(text):
    """Drops every template<...> head."""
    out, offset = "", 0
    for match in re.finditer(r"\btemplate\s*<", text):
        if match.start() < offset:
            continue
        out += text[offset : match.start()]
        depth, offset = 1, match.end()
        while offset < len(text) and depth:
            if text[offset] in "([{":
                offset = matching(text, offset)
            depth += {"<": 1, ">": -1}.get(text[offset], 0) if offset < len(text) else 0
            offset += 1
    return out + text[offset:]


def first_parameter_list(chunk):
    """(name, parameters) of a function declaration; None for anything else."""
    text = re.sub(r"\[\[.*?\]\]", " ", strip_templates(chunk), flags=re.DOTALL)
    offset = 0
    while True:
        offset = text.find("(", offset)
        if offset < 0:
            return None
        before = text[:offset]
        close = matching(text, offset)
        call = re.search(r"\boperator\s*$", before)
        if call:  # operator()(...)
            second = text.find("(", close)
            return "operator()", text[second + 1 : matching(text, second)] if second >= 0 else ""
        if NOT_THE_NAME.search(before):
            offset = close + 1
            continue
        if "=" in re.sub(r"operator\s*[^\s\w(]+|[=!<>]=|<=>", "", before):
            return None
        name = re.search(r"(operator\s*[^\s\w(]+|operator\s+[\w:<>\s*&]+|~?\w+)\s*(<[^<>]*>)?\s*$", before)
        if name:
            return name.group(1), text[offset + 1 : close]
        offset = close + 1  # parentheses of an expression, as in: requires A<T> && (sizeof(T) > 4)
