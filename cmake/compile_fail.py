# SPDX-License-Identifier: BSL-1.0
"""One compile-fail test: FILE must not compile, for the reason it states, and must compile without its fault.

The reason stands at the top of the file:

    // expect: text that every compiler prints
    // expect(gcc): text that g++ prints           (instead of, or besides, the common one)
    // expect(clang): text that clang++ prints
    #include <mmhold/...>
    #ifndef MMHOLD_COMPILE_FAIL_CONTROL
    ...the fault...
    #endif

Every line that applies to the compiler must appear in its messages. The compiler and all its flags are those with
which the target compiles FLAGS_FILE, taken from compile_commands.json.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys


# Messages only: an echoed source line must not count as something the compiler said.
NO_ECHO = {"gcc": "-fno-diagnostics-show-caret", "clang": "-fno-caret-diagnostics"}


def command_for(build, flags_file, source, compiler):
    """The compile command of flags_file, to check `source` instead."""
    database = pathlib.Path(build) / "compile_commands.json"
    for entry in json.loads(database.read_text(encoding="utf-8")):
        if os.path.samefile(entry["file"], flags_file):
            words = entry.get("arguments") or shlex.split(entry["command"])
            out = words.index("-o")
            kept = words[:out] + words[out + 2 :]
            kept = [word for word in kept if word != "-c" and word != entry["file"]]
            return kept + ["-fsyntax-only", NO_ECHO[compiler], str(source)], entry["directory"]
    sys.exit(f"{database}: has no entry for {flags_file}")


def expectations(source, compiler):
    """The texts that must appear; read from the comment lines that open the file."""
    texts = []
    for line in pathlib.Path(source).read_text(encoding="utf-8").splitlines():
        if not line.startswith("//"):
            break
        match = re.match(r"//\s*expect(?:\((gcc|clang)\))?:\s*(.*\S)", line)
        if match and match.group(1) in (None, compiler):
            texts.append(match.group(2))
    return texts


def compile_it(command, directory):
    environment = dict(os.environ, LC_ALL="C", LANGUAGE="C")  # plain quotes, English
    run = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--flags-file", required=True)
    parser.add_argument("--compiler", choices=["gcc", "clang"], required=True)
    parser.add_argument("source")
    arguments = parser.parse_args()
    source = arguments.source

    texts = expectations(source, arguments.compiler)
    if not texts:
        sys.exit(f"{source}:1: no `// expect: ...` line for {arguments.compiler}")
    if "MMHOLD_COMPILE_FAIL_CONTROL" not in pathlib.Path(source).read_text(encoding="utf-8"):
        sys.exit(f"{source}:1: the fault does not stand in #ifndef MMHOLD_COMPILE_FAIL_CONTROL")

    command, directory = command_for(arguments.build, arguments.flags_file, source, arguments.compiler)
    status, output = compile_it(command + ["-DMMHOLD_COMPILE_FAIL_CONTROL"], directory)
    if status != 0:
        sys.exit(f"{source}:1: does not compile even without its fault:\n{output}")
    status, output = compile_it(command, directory)
    if status == 0:
        sys.exit(f"{source}:1: compiles, but should not")
    missing = [text for text in texts if text not in output]
    if missing:
        wanted = "\n".join(f"{source}:1: the compiler did not say: {text}" for text in missing)
        sys.exit(f"{wanted}\nIt said:\n{output}")
    print(f"{source}: does not compile, for the stated reason")


main()
