// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/settle.hpp"

#include "support/catch.hpp"

#include <optional>
#include <string_view>

using namespace stall;
using mmhold::mmap_flag;
using mmhold::vma_flag;
using mmhold::vma_kind;

namespace {

constexpr std::string_view small_layout =
    "555555554000-555555556000 r-xp 00001000 fe:01 42         /usr/bin/x\n"
    "555555556000-555555557000 rw-p 00003000 fe:01 42         /usr/bin/x\n"
    "555555577000-555555598000 rw-p 00000000 00:00 0          [heap]\n"
    "7ffff7d00000-7ffff7d02000 rw-s 00000000 00:01 7          /dev/zero (deleted)\n"
    "7ffff7d02000-7ffff7d04000 rw-p 00000000 00:00 0\n"
    "7ffff7d04000-7ffff7d05000 rw-p 00000000 00:00 0\n"
    "7ffff7fc0000-7ffff7fc4000 r--p 00000000 00:00 0          [vvar]\n"
    "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0          [stack]\n"
    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n";

/// A world with the layout of a text in it.
struct settled_world {
    maps_content lines;
    world in;
    settled outcome;

    explicit settled_world(std::string_view text)
        : lines{parse_maps(text)}, in{{lines.regions.size(), 64, 1024, 1}} {
        REQUIRE(in.valid());
        REQUIRE_FALSE(lines.error);
        outcome = settle(in, me(), lines.regions);
    }

    cpu_type& me() { return in.cpus[role::program]; }
    std::optional<mmhold::vma> at(std::uint64_t address) {
        auto const held = in.hold();
        auto const found = in.mm.find({address}, held);
        return found ? std::optional{found->view(held)} : std::nullopt;
    }
};

}  // namespace

TEST_CASE("settle: a line keeps its range, rights, sharing, kind, file and name") {
    settled_world process{small_layout};
    auto const code = process.at(0x555555555fff);
    REQUIRE(code);
    CHECK(code->span.start() == mmhold::virt_addr{0x555555554000});
    CHECK(code->span.end() == mmhold::virt_addr{0x555555556000});
    CHECK(code->prot == mmhold::prot::rx);
    CHECK(code->kind == vma_kind::file);
    CHECK(code->file != 0);
    CHECK(code->file_page == 1);
    CHECK(code->name.view() == "/usr/bin/x");
    CHECK_FALSE(code->flags.has(vma_flag::shared));

    auto const data = process.at(0x555555556000);
    REQUIRE(data);
    CHECK(data->file == code->file);

    auto const shared = process.at(0x7ffff7d00000);
    REQUIRE(shared);
    CHECK(shared->flags.has(vma_flag::shared));
    CHECK(shared->kind == vma_kind::shmem);

    REQUIRE(process.at(0x7ffffffde000));
    CHECK(process.at(0x7ffffffde000)->flags.has(vma_flag::grows_down));
    REQUIRE(process.at(0x7ffff7fc0000));
    CHECK(process.at(0x7ffff7fc0000)->flags.has(vma_flag::pfnmap));
    CHECK_FALSE(process.at(0x555555553fff));
    CHECK_FALSE(process.at(0x555555598000));
}

TEST_CASE("settle: lines that look alike stay two mappings") {
    settled_world process{small_layout};
    REQUIRE(process.at(0x7ffff7d03fff));
    CHECK(process.at(0x7ffff7d03fff)->span.pages() == 2);
    CHECK(process.outcome.built == walked{8, 2 + 1 + 33 + 2 + 2 + 1 + 4 + 33});
}

TEST_CASE("settle: what lies above user space is left out, with the reason") {
    settled_world process{small_layout};
    REQUIRE(process.outcome.rest.size() == 1);
    CHECK(process.outcome.rest[0].index == 8);
    CHECK(process.outcome.rest[0].why == "above user space");
}

TEST_CASE("settle: a mapping that is in the way is not replaced") {
    settled_world process{"1000-3000 rw-p 00000000 00:00 0\n"};
    auto const again = settle(process.in, process.me(), process.lines.regions);
    REQUIRE(again.rest.size() == 1);
    CHECK(again.rest[0].why == describe(mmhold::errc::exists));
    CHECK(again.built == process.outcome.built);
}

TEST_CASE("settle: user space of 48 bits and more fits") {
    settled_world process{
        "ffffb0000000-ffffb0010000 r--p 00000000 fe:02 5 /lib/ld.so\n"
        "7fffffffffe000-7ffffffffff000 rw-p 00000000 00:00 0 [stack]\n"};
    CHECK(process.outcome.rest.empty());
    CHECK(process.outcome.built.mappings == 2);
}

TEST_CASE("pager area: the largest private writable part without a file") {
    settled_world process{small_layout};
    auto const area = find_pager_area(process.in, process.me(), 8);
    REQUIRE(area);
    CHECK(area->name == "[heap]");
    CHECK(area->span.pages() == 33);
    CHECK_FALSE(area->made);
}

TEST_CASE("pager area: neither shared, nor files, nor read-only, nor too small") {
    settled_world process{
        "10000-50000 rw-s 00000000 00:01 7 /dev/zero (deleted)\n"
        "50000-90000 rw-p 00000000 fe:01 42 /usr/bin/x\n"
        "90000-d0000 r--p 00000000 00:00 0\n"
        "d0000-d7000 rw-p 00000000 00:00 0\n"};
    auto const area = find_pager_area(process.in, process.me(), 8);
    REQUIRE(area);
    CHECK(area->made);
    CHECK(area->span.pages() == 8);
    auto const made = process.at(area->span.start().value);
    REQUIRE(made);
    CHECK(made->prot == mmhold::prot::rw);
    CHECK(mmhold::is_anonymous(*made));
    auto const smaller = find_pager_area(process.in, process.me(), 7);
    REQUIRE(smaller);
    CHECK(smaller->made == false);
}
