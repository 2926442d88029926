# SPDX-License-Identifier: BSL-1.0
"""The Machine is the only way to threads, clocks and atomics; range-v3 and macros have one place each."""

import re

import house

# Headers that may talk to the real machine.
BEHIND_THE_SEAM = re.compile(r"machine/host_[^/]*\.hpp|adapt/.*|explore/.*")

FORBIDDEN_HEADERS = re.compile(
    r"(atomic|stdatomic\.h|mutex|shared_mutex|thread|condition_variable|stop_token|semaphore|latch|barrier|future"
    r"|chrono|ctime|time\.h|random|pthread\.h|unistd\.h|sys/.*|linux/.*|boost/.*)")

FORBIDDEN_NAMES = re.compile(
    r"std::(?:atomic\w*|mutex|recursive_mutex|timed_mutex|shared_mutex|shared_timed_mutex|scoped_lock|lock_guard"
    r"|unique_lock|shared_lock|thread|jthread|this_thread|condition_variable\w*|stop_\w+|chrono|call_once|once_flag"
    r"|counting_semaphore|binary_semaphore|latch|barrier|async|future|promise)\b"
    r"|\bboost\b|\bthis_thread\b|\b(?:u|nano)?sleep(?:_for|_until)?\b|\brand\s*\(|\bpthread_\w+|\bsyscall\s*\(")


def check(report, path, source):
    name = str(house.inside(path))
    free = BEHIND_THE_SEAM.fullmatch(name) is not None
    for line, included, _ in house.includes(source):
        if FORBIDDEN_HEADERS.fullmatch(included) and not free:
            report.add(path, line, f"<{included}> stands behind the seam: ask the Machine")
        if included.startswith("range/v3/") and not re.fullmatch(r"adapt/range[^/]*\.hpp", name):
            report.add(path, line, "range-v3 is included by adapt/range*.hpp only")
    for number in range(1, len(source.lines) + 1):
        code = source.code_line(number)
        if re.match(r"\s*#\s*define\b", code) and name != "config.hpp":
            report.add(path, number, "macros are defined in config.hpp only")
        if re.match(r"\s*#", code):
            continue
        if re.search(r"\bthread_local\b", code) and house.folder(path) not in ("adapt", "explore"):
            report.add(path, number, "thread_local: who runs is an explicit cpu object")
        hit = FORBIDDEN_NAMES.search(code)
        if hit and not free:
            report.add(path, number, f"`{hit.group().strip()}` stands behind the seam: ask the Machine")


def main():
    root = house.root_from_arguments(__doc__)
    report = house.Report("seam")
    count = 0
    for path, source in house.headers(root):
        count += 1
        check(report, path, source)
    report.finish(f"{count} headers")


main()
