# SPDX-License-Identifier: BSL-1.0
"""Compares the instructions of two functions, <pair>_subject and <pair>_reference, in compiled objects.

The source may ask for less than equality, in a comment line anywhere in the file:

    // codegen(x): same                     the default: same instructions, same operands, same order
    // codegen(x): same opcodes             registers and offsets may differ
    // codegen(x): no longer                the subject has at most as many instructions
    // codegen(x): same | clang: no longer  the second for one compiler (gcc or clang) only
"""

import argparse
import pathlib
import re
import subprocess
import sys

FUNCTION = re.compile(r"^[0-9a-f]+ <(\w+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(.*?)\s*$")
RELOCATION = re.compile(r"^\s*[0-9a-f]+: (R_\S+)\s+(\S+)$")


def functions(objdump, objects):
    """{name: [instruction]} of every function; addresses and names of the function itself are made relative."""
    command = [objdump, "-d", "-r", "--no-show-raw-insn", *objects]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, name, start = {}, None, None
    for line in listing.splitlines():
        head = FUNCTION.match(line)
        if head:
            name, start = head.group(1), int(line.split()[0], 16)
            found[name] = []
            continue
        if line.startswith("Disassembly of section"):
            name = None
        instruction, relocation = INSTRUCTION.match(line), RELOCATION.match(line)
        if name and relocation:
            found[name].append(f"  {relocation.group(1)} {relocation.group(2)}".replace(name, "<this>"))
        elif name and instruction:
            found[name].append(relative(instruction.group(2).split("#")[0], name, start))
    return {name: without_padding(code) for name, code in found.items()}


def relative(text, name, start):
    """Jump targets as distances from the start of the function."""
    text = re.sub(rf"\b([0-9a-f]+) <{name}(\+0x[0-9a-f]+)?>", lambda m: f"<this+{int(m.group(1), 16) - start:#x}>", text)
    return " ".join(text.split())


def without_padding(code):
    while code and re.match(r"(data16 )*(cs )?nop|xchg %ax,%ax", code[-1]):
        code = code[:-1]
    return code


def wanted(source, pair, compiler):
    """How the source wants the pair to be compared."""
    match = re.search(rf"//\s*codegen\({pair}\):\s*(.*)", pathlib.Path(source).read_text(encoding="utf-8"))
    ways = [way.strip() for way in match.group(1).split("|")] if match else ["same"]
    special = [way.split(":")[1].strip() for way in ways if way.startswith(compiler + ":")]
    return (special or [way for way in ways if ":" not in way] or ["same"])[0]


def agree(way, subject, reference):
    real = [[line for line in code if not line.startswith("  ")] for code in (subject, reference)]
    if way == "same":
        return subject == reference
    if way == "same opcodes":
        return [line.split()[0] for line in real[0]] == [line.split()[0] for line in real[1]]
    if way == "no longer":
        return len(real[0]) <= len(real[1])
    sys.exit(f"codegen: `{way}` is no way to compare (same, same opcodes, no longer)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--compiler", choices=["gcc", "clang"], required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--pair", required=True)
    parser.add_argument("objects", nargs="+")
    arguments = parser.parse_args()

    stem = pathlib.Path(arguments.source).name
    objects = [path for path in arguments.objects if pathlib.Path(path).name.startswith(stem + ".")]
    found = functions(arguments.objdump, objects)
    names = [f"{arguments.pair}_subject", f"{arguments.pair}_reference"]
    for name in names:
        if name not in found:
            sys.exit(f'{arguments.source}:1: has no extern "C" function {name} that is compiled')
    subject, reference = (found[name] for name in names)
    way = wanted(arguments.source, arguments.pair, arguments.compiler)
    if agree(way, subject, reference):
        print(f"{arguments.pair}: {way}, {len(subject)} and {len(reference)} lines")
        return
    print(f"{arguments.source}:1: {arguments.pair}: not `{way}`")
    for name, code in zip(names, (subject, reference)):
        print(f"{name}:", *code, sep="\n    ")
    sys.exit(1)


main()
