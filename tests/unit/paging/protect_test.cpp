// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/protect.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/last_words.hpp"

using namespace paging_test;

namespace {

constexpr auto write_protect = [](page_entry e) {
    e.writable = false;
    return e;
};
static_assert(EntryChange<decltype(write_protect)>);
static_assert(!EntryChange<noting_sink>);

page_entry read_only(std::uint64_t frame) { return write_protect(rw_leaf(frame)); }

}  // namespace

TEST_CASE("6.1 mprotect: each entry of the range changes, one flush at the end of it") {
    setup_4 s;
    for (std::uint64_t i = 0; i < 4; ++i) {
        REQUIRE(s.table.map(s.me, virt_addr{i * page_size}, rw_leaf(10 + i), 0));
    }
    noting_flush flush;
    REQUIRE(s.table.protect(s.me, pages_from(0x1000, 2), write_protect, flush));
    REQUIRE(s.entry(0) == rw_leaf(10));
    REQUIRE(s.entry(0x1000) == read_only(11));
    REQUIRE(s.entry(0x2000) == read_only(12));
    REQUIRE(s.entry(0x3000) == rw_leaf(13));
    REQUIRE(flush.spans == std::vector{pages_from(0x1000, 2)});
}

TEST_CASE("6.1 mprotect: the entry is none while the new one is computed") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(10), 0));
    auto const pte_table = [&] {
        auto at = s.table.root();
        for (unsigned level = 3; level > 0; --level) {
            at = x86_64<4>::decode(s.table.read(at, virt_addr{0}, level), level).target;
        }
        return at;
    }();
    std::uint64_t during = 1;
    auto const look = [&](page_entry e) {
        during = s.table.read_entry(pte_table, 0);
        return write_protect(e);
    };
    REQUIRE(s.table.protect(s.me, pages_from(0, 1), look));
    REQUIRE(during == 0);
    REQUIRE(s.entry(0) == read_only(10));
}

TEST_CASE("6.1 mprotect: dirty set by the hardware is seen and kept") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(10), 0));
    s.table.lock_leaf(s.me, virt_addr{0}, 0, if_absent::fail)->touch(access::write);
    REQUIRE(s.table.protect(s.me, pages_from(0, 1), write_protect));
    REQUIRE(s.entry(0).dirty);
    REQUIRE_FALSE(s.entry(0).writable);
}

TEST_CASE("6.1 mprotect: markers are shown too, and need no flush") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, page_entry::marker_for(1, 5), 0));
    noting_flush flush;
    auto const make_readable = [](page_entry e) {
        e.marker_type = 2;
        return e;
    };
    REQUIRE(s.table.protect(s.me, pages_from(0, 4), make_readable, flush));
    REQUIRE(s.entry(0) == page_entry::marker_for(2, 5));
    REQUIRE(flush.spans.empty());
}

TEST_CASE("protect: PROT_NONE and back") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    auto const none = [](page_entry e) {
        e.protnone = true;
        return e;
    };
    auto const back = [](page_entry e) {
        e.protnone = false;
        return e;
    };
    REQUIRE(s.table.protect(s.me, pages_from(0, 512), none));
    REQUIRE_FALSE(s.entry(0, 1).permits(access::read, {}));
    REQUIRE(s.table.protect(s.me, pages_from(0, 512), back));
    REQUIRE(s.entry(0, 1) == rw_leaf(0x200));
}

TEST_CASE("protect: a large leaf inside changes whole, one across the end is split") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x400), 1));
    REQUIRE(s.table.protect(s.me, pages_from(0, 514), write_protect));
    REQUIRE(s.entry(0, 1) == read_only(0x200));
    REQUIRE(s.entry(size_2m + 0x1000) == read_only(0x401));
    REQUIRE(s.entry(size_2m + 0x2000) == rw_leaf(0x402));
}

TEST_CASE("protect: no memory to split with changes nothing") {
    setup_4 s{3};
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x400), 1));
    auto const outcome = s.table.protect(s.me, pages_from(0, 514), write_protect);
    REQUIRE(outcome.error() == errc::no_memory);
    REQUIRE(s.entry(0, 1) == rw_leaf(0x200));
    REQUIRE(s.entry(size_2m, 1) == rw_leaf(0x400));
}

TEST_CASE("protect: a large leaf that appears across the end meanwhile is split then") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0));
    bool mapped = false;
    auto const intruded = [&](page_entry e) {
        if (!std::exchange(mapped, true)) {
            REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x400), 1));
        }
        return write_protect(e);
    };
    REQUIRE(s.table.protect(s.me, pages_from(0, 514), intruded));
    REQUIRE(s.entry(size_2m + 0x1000) == read_only(0x401));
    REQUIRE(s.entry(size_2m + 0x2000) == rw_leaf(0x402));
}

TEST_CASE("protect: bad ranges, empty ranges, holes") {
    setup_4 s;
    REQUIRE(s.table.protect(s.me, page_span{}, write_protect));
    REQUIRE(s.table.protect(s.me, bytes_from(0, size_1g), write_protect));
    auto const beyond = pages_from(task_size_max(48).value, 1);
    REQUIRE(s.table.protect(s.me, beyond, write_protect).error() == errc::bad_address);
}

TEST_CASE("protect: dropping a page stops a checked program") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0));
    auto const drop = [](page_entry) { return page_entry{}; };
    auto const end = mmhold_test::last_words(
        [&] { (void)s.table.protect(s.me, pages_from(0, 1), drop); });
    REQUIRE(end.died);
    REQUIRE(end.words.find("dropped") != std::string::npos);
}
