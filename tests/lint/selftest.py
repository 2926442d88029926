# SPDX-License-Identifier: BSL-1.0
"""Proves that a rule fires: runs <rule>.py on samples/<rule>/ and compares with samples/<rule>/expect.txt.

Each line of expect.txt is "file:line: words": one finding at that place, whose sentence contains the words. There must
be as many findings as lines, so the good halves of the samples prove that the rule also keeps quiet.
"""

import pathlib
import re
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
rule = sys.argv[1]
samples = here / "samples" / rule
command = [sys.executable, "-B", str(here / f"{rule}.py"), "--root", str(samples)]
run = subprocess.run(command, capture_output=True, text=True, check=False)
expected = [line for line in (samples / "expect.txt").read_text(encoding="utf-8").splitlines() if line.strip()]
# A finding is "file:line: sentence"; notes and the closing summary are not.
findings = [line for line in run.stdout.splitlines() if re.match(r"(?!note: )[^:\s]+:\d+: ", line)]

wrong = []
left = list(findings)
for line in expected:
    place, words = re.match(r"([^:]+:\d+:) ?(.*)", line).groups()
    hit = next((f for f in left if f.startswith(place + " ") and words in f), None)
    if hit is None:
        wrong.append(f"samples/{rule}/expect.txt: not found by the rule: {line}")
    else:
        left.remove(hit)
wrong += [f"samples/{rule}: found, but not expected: {finding}" for finding in left]
if run.returncode != 1:
    wrong.append(f"{rule}.py ended with {run.returncode} instead of 1 on its bad samples")
if wrong:
    print("\n".join(wrong))
    print(run.stdout + run.stderr)
    sys.exit(1)
print(f"{rule}: fires {len(expected)} times on its samples, as expected")
