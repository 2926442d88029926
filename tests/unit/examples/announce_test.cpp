// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/announce.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <string_view>

using namespace stall;
using namespace std::chrono_literals;

namespace {

std::string announced(std::string_view text, std::chrono::milliseconds delay = 20ms) {
    auto const regions = parse_maps(text).regions;
    plan const of{regions, delay, 2, 1};
    return announcement("some.maps", of, site{of}, "as usual");
}

bool contains(std::string const& text, std::string const& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("announcement: lines, kinds, what was left out and why") {
    auto const text = announced(
        "555555554000-555555556000 r-xp 00001000 fe:01 42         /usr/bin/x\n"
        "555555577000-555555598000 rw-p 00000000 00:00 0          [heap]\n"
        "7ffff7d00000-7ffff7d02000 rw-s 00000000 00:01 7          /dev/zero (deleted)\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n");
    CHECK(contains(text, "some.maps: 4 lines, 1 shared\n"));
    CHECK(contains(text, "1 file, 1 shared memory, 1 heap, 1 vsyscall\n"));
    CHECK(contains(text, "built: 3 mappings, 37 pages\n"));
    CHECK(contains(text, "left out: 1 line\n"));
    CHECK(
        contains(text, "line 4, ffffffffff600000-ffffffffff601000 [vsyscall]: above user space\n"));
    CHECK(contains(text, "supplies [heap], 33 pages at 555555577000-555555598000, 20 ms each, "));
    CHECK(contains(text, "2 callers (1 call of 4 pages each)"));
    CHECK(contains(text, "as usual; this takes about 0.9 s\n"));
}

TEST_CASE("announcement: nothing left out is not mentioned, many only by their number") {
    CHECK_FALSE(contains(announced("10000-20000 rw-p 00000000 00:00 0\n"), "left out"));
    auto const above = announced(
        "ffffffff00001000-ffffffff00002000 rw-p 00000000 00:00 0\n"
        "ffffffff00003000-ffffffff00004000 rw-p 00000000 00:00 0\n"
        "ffffffff00005000-ffffffff00006000 rw-p 00000000 00:00 0\n"
        "ffffffff00007000-ffffffff00008000 rw-p 00000000 00:00 0\n");
    CHECK(contains(above, "left out: 4 lines\n"));
    CHECK(contains(above, "line 3, ffffffff00005000-ffffffff00006000: above user space\n"));
    CHECK_FALSE(contains(above, "line 4"));
    CHECK(contains(above, "and so on\n"));
}

TEST_CASE("announcement: a part made for the pager is called so") {
    auto const text = announced("10000-20000 r--p 00000000 00:00 0 [anon:odd\001name]\n", 1500ms);
    CHECK(contains(text, "the layout has no private writable part of 8 pages; mapped\n"));
    CHECK(contains(text, "8 pages at "));
    CHECK(contains(text, ", 1500 ms each, one at a time\n"));
}

TEST_CASE("announcement: control characters of a name do not reach the terminal") {
    auto const text = announced("10000-20000 rw-p 00000000 00:00 0 [anon:odd\001name]\n");
    CHECK(contains(text, "supplies [anon:odd\\x01name], 16 pages"));
}
