// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/maps_file.hpp"

#include "support/catch.hpp"

#include <string>
#include <string_view>

using namespace stall;
using mmhold::virt_addr;

namespace {

/// The only region of a one-line file.
maps_region only(std::string_view line) {
    auto const content = parse_maps(line);
    INFO(line);
    REQUIRE_FALSE(content.error);
    REQUIRE(content.regions.size() == 1);
    return content.regions.front();
}

/// What is wrong with a one-line file.
std::string wrong_with(std::string_view line) {
    auto const content = parse_maps(line);
    INFO(line);
    REQUIRE(content.error);
    CHECK(content.error->line == 1);
    CHECK(content.error->text == line);
    return content.error->reason;
}

}  // namespace

TEST_CASE("maps line: every field is read") {
    auto const region =
        only("7f00c0a2e000-7f00c0a33000 r-xp 00002000 fe:1a 247134      /usr/bin/cat");
    CHECK(region.line == 1);
    CHECK(region.start == virt_addr{0x7f00'c0a2'e000});
    CHECK(region.end == virt_addr{0x7f00'c0a3'3000});
    CHECK(region.pages() == 5);
    CHECK(region.prot == mmhold::prot::rx);
    CHECK(region.share == sharing::private_copy);
    CHECK(region.offset == 0x2000);
    CHECK(region.device_major == 0xfe);
    CHECK(region.device_minor == 0x1a);
    CHECK(region.inode == 247134);
    CHECK(region.path == "/usr/bin/cat");
    CHECK(region.kind == region_kind::file);
}

TEST_CASE("maps line: all permissions") {
    CHECK(only("1000-2000 ---p 0 0:0 0").prot == mmhold::prot::none);
    CHECK(only("1000-2000 rw-p 0 0:0 0").prot == mmhold::prot::rw);
    CHECK(only("1000-2000 rwxp 0 0:0 0").prot == mmhold::prot::rwx);
    CHECK(only("1000-2000 --xp 0 0:0 0").prot == mmhold::prot::x);
    CHECK(only("1000-2000 rw-s 0 0:0 0").share == sharing::shared);
}

TEST_CASE("maps line: a path may be absent, contain blanks, or name a deleted file") {
    CHECK(only("1000-2000 rw-p 00000000 00:00 0").path.empty());
    CHECK(only("1000-2000 rw-p 00000000 00:00 0 ").path.empty());
    CHECK(only("1000-2000 r--p 0 8:1 9       /tmp/two words").path == "/tmp/two words");
    CHECK(only("1000-2000 r--p 0 8:1 9  /tmp/x (deleted)").path == "/tmp/x (deleted)");
}

TEST_CASE("maps line: extremes fit") {
    auto const region = only(
        "ffffffffff600000-fffffffffffff000 --xp ffffffffffffffff ffffffff:ffffffff "
        "18446744073709551615 [vsyscall]");
    CHECK(region.offset == ~std::uint64_t{0});
    CHECK(region.inode == ~std::uint64_t{0});
    CHECK(region.device_major == ~std::uint32_t{0});
    CHECK(only("0-1000 rw-p 0 0:0 0").start == virt_addr{0});
}

TEST_CASE("maps line: the path tells the kind") {
    CHECK(kind_of("") == region_kind::anonymous);
    CHECK(kind_of("[anon:glibc: malloc]") == region_kind::anonymous);
    CHECK(kind_of("[anon_shmem:name]") == region_kind::shmem);
    CHECK(kind_of("[heap]") == region_kind::heap);
    CHECK(kind_of("[stack]") == region_kind::stack);
    CHECK(kind_of("[stack:1234]") == region_kind::stack);
    CHECK(kind_of("[vdso]") == region_kind::vdso);
    CHECK(kind_of("[vvar]") == region_kind::vvar);
    CHECK(kind_of("[vvar_vclock]") == region_kind::vvar);
    CHECK(kind_of("[vsyscall]") == region_kind::vsyscall);
    CHECK(kind_of("[uprobes]") == region_kind::other);
    CHECK(kind_of("/usr/lib/libc.so.6") == region_kind::file);
    CHECK(kind_of("/dev/zero (deleted)") == region_kind::shmem);
    CHECK(kind_of("/dev/shm/x") == region_kind::shmem);
    CHECK(kind_of("/memfd:name (deleted)") == region_kind::shmem);
    CHECK(kind_of("/SYSV00000000 (deleted)") == region_kind::shmem);
    CHECK(kind_of("/dev/dri/card0") == region_kind::other);
    CHECK(kind_of("anon_inode:[perf_event]") == region_kind::other);
}

TEST_CASE("maps line: every kind has a name") {
    for (int kind = 0; kind <= static_cast<int>(region_kind::other); ++kind) {
        CHECK(kind_name(static_cast<region_kind>(kind)) != "?");
    }
    CHECK(kind_name(static_cast<region_kind>(200)) == "?");
}

TEST_CASE("maps line: a broken range is named") {
    for (auto const* line :
         {"hello", "1000", "1000-", "-2000 rw-p 0 0:0 0", "1000_2000 rw-p",
          "0x1000-0x2000 rw-p 0 0:0 0", "10000000000000000-10000000000001000 rw-p 0 0:0 0"}) {
        CHECK(wrong_with(line).find("range") != std::string::npos);
    }
    CHECK(wrong_with("2000-1000 rw-p 0 0:0 0").find("backwards") != std::string::npos);
    CHECK(wrong_with("1000-1000 rw-p 0 0:0 0").find("empty") != std::string::npos);
    CHECK(wrong_with("1000-2001 rw-p 0 0:0 0").find("4096") != std::string::npos);
    CHECK(wrong_with("1004-2000 rw-p 0 0:0 0").find("4096") != std::string::npos);
}

TEST_CASE("maps line: broken permissions are named") {
    for (auto const* line : {"1000-2000 rw-q 0 0:0 0", "1000-2000 wr-p 0 0:0 0", "1000-2000 rw-",
                             "1000-2000 RW-P 0 0:0 0", "1000-2000 "}) {
        CHECK(wrong_with(line) == "expected permissions like rw-p");
    }
    CHECK(wrong_with("1000-2000").find("blank") != std::string::npos);
}

TEST_CASE("maps line: a broken offset, device or inode is named") {
    CHECK(wrong_with("1000-2000 rw-p").find("offset") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-pp 0 0:0 0").find("offset") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p xyz 0:0 0").find("offset") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p 0 00 0").find("device") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p 0 0: 0").find("device") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p 0 100000000:0 0").find("device") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p 0 0:0").find("inode") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p 0 0:0 12x /a").find("inode") != std::string::npos);
    CHECK(wrong_with("1000-2000 rw-p 0 0:0 0\r").find("inode") != std::string::npos);
}

TEST_CASE("maps file: lines are numbered, the last needs no end of line") {
    auto const content = parse_maps("1000-2000 r--p 0 0:0 0\n3000-4000 rw-p 0 0:0 0 [heap]");
    REQUIRE_FALSE(content.error);
    REQUIRE(content.regions.size() == 2);
    CHECK(content.regions[1].line == 2);
    CHECK(content.regions[1].kind == region_kind::heap);
    CHECK(parse_maps("").regions.empty());
    CHECK_FALSE(parse_maps("").error);
}

TEST_CASE("maps file: the first malformed line is reported with its number and text") {
    auto const content = parse_maps("1000-2000 r--p 0 0:0 0\nnonsense\n3000-4000 r--p 0 0:0 0\n");
    REQUIRE(content.error);
    CHECK(content.error->line == 2);
    CHECK(content.error->text == "nonsense");
    CHECK(content.regions.size() == 1);
    CHECK(message(*content.error, "a.maps") ==
          "a.maps:2: expected a range START-END in hexadecimal: 'nonsense'");
}

TEST_CASE("maps file: ranges ascend and do not overlap") {
    auto const overlapping = parse_maps("1000-3000 r--p 0 0:0 0\n2000-4000 r--p 0 0:0 0\n");
    REQUIRE(overlapping.error);
    CHECK(overlapping.error->line == 2);
    CHECK_FALSE(parse_maps("1000-2000 r--p 0 0:0 0\n2000-3000 r--p 0 0:0 0\n").error);
    CHECK(parse_maps("4000-5000 r--p 0 0:0 0\n1000-2000 r--p 0 0:0 0\n").error);
}

TEST_CASE("maps file: an empty line in the middle is malformed") {
    auto const content = parse_maps("1000-2000 r--p 0 0:0 0\n\n");
    REQUIRE(content.error);
    CHECK(content.error->line == 2);
}

TEST_CASE("maps error: what does not fit a terminal is escaped and cut") {
    CHECK(printable("a\tb\x7f") == "a\\x09b\\x7f");
    CHECK(printable(std::string_view{"\0", 1}) == "\\x00");
    auto const cut = printable(std::string(300, 'x'));
    CHECK(cut.substr(0, 100) == std::string(100, 'x'));
    CHECK(cut.substr(100) == "…");
}
