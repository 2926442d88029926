// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>
#include <vector>

using namespace mmhold;
using small = mmhold_test::small_space<>;

namespace {

/// Every frame that was held is given back: all counts as if nothing had happened.
struct balance {
    small& host;
    std::uint64_t acquired = host.frames.statistics().pins_acquired;
    bool even() const {
        auto const now = host.frames.statistics();
        return now.pins_acquired - acquired == now.pins_released - acquired;
    }
};

void release(small& host, std::span<pfn const> pages, holding how) {
    pinned{host.frames, pages, how}.release();
}

}  // namespace

TEST_CASE("1.1 gup_fast: present pages are held without the lock", "[gup][fast]") {
    small host;
    REQUIRE(host.map(4));
    std::array<pfn, 4> out{};
    for (std::uint64_t page = 0; page < 4; ++page) host.fill(page);
    auto const writer =
        held_exclusive<small::lock_type>::acquire(host.mm.lock());  // nobody could take it
    auto const got = gup_fast(host.mm, host.me, small::span(0, 4), gup_flag::write, out);
    CHECK(got == gup_result{4, gup_stop::complete, errc::ok, lock_fate::never_held});
    CHECK(host.me.stats().fast_pages == 4);
    CHECK(host.me.stats().fast_fallbacks == 0);
    release(host, out, holding::reference);
}

TEST_CASE("5.1 items 12 and 13: the walk stops at the first page it cannot take, the slow path does all the rest",
    "[gup][fast]") {
    small host;
    REQUIRE(host.map(4));
    host.fill(0);
    host.fill(2);  // present, but behind a hole: not the fast walk's any more
    host.fill(3);
    std::array<pfn, 4> out{};
    auto const got = gup_fast(host.mm, host.me, small::span(0, 4), gup_flag::write, out);
    CHECK(got == gup_result{4, gup_stop::complete, errc::ok, lock_fate::never_held});
    CHECK(host.me.stats().fast_pages == 1);
    CHECK(host.me.stats().slow_pages == 3);
    CHECK(host.me.stats().fast_fallbacks == 1);
    for (std::uint64_t page = 0; page < 4; ++page) CHECK(out[page] == host.entry(page).target);
    release(host, out, holding::reference);
}

TEST_CASE("5.1 item 13: an error of the slow half does not lose the fast pages", "[gup][fast]") {
    small host;
    REQUIRE(host.map(2));
    host.fill(0);
    host.fill(1);
    std::array<pfn, 4> out{};
    auto const got =
        pin_fast(host.mm, host.me, small::span(0, 4), {}, out);  // pages 2 and 3 have no vma
    CHECK(got == gup_result{2, gup_stop::error, errc::bad_address, lock_fate::never_held});
    CHECK(to_linux(got) == 2);
    CHECK(to_linux(pin_fast(host.mm, host.me, small::span(2, 2), {}, out)) == -14);
    release(host, std::span{out}.first(2), holding::pin);
    CHECK(host.frames.statistics().pins_acquired == host.frames.statistics().pins_released);
}

TEST_CASE("1.1 gup_fast_only: no lock, no fault, a short count", "[gup][fast]") {
    small host;
    REQUIRE(host.map(3));
    host.fill(0);
    std::array<pfn, 3> out{};
    auto const writer = held_exclusive<small::lock_type>::acquire(host.mm.lock());
    auto const got = gup_fast_only(host.mm, host.me, small::span(0, 3), {}, out);
    CHECK(got == gup_result{1, gup_stop::not_fast, errc::ok, lock_fate::never_held});
    CHECK(to_linux(gup_fast_only(host.mm, host.me, small::span(1, 2), {}, out)) == 0);
    CHECK(host.me.stats().faults == 0);
    release(host, std::span{out}.first(1), holding::reference);
}

TEST_CASE("1.1 gup_fast_only may be called with interrupts off", "[gup][fast]") {
    small host;
    REQUIRE(host.map(1));
    host.fill(0);
    std::array<pfn, 1> out{};
    {
        irq_section inside{host.me};
        CHECK(gup_fast_only(host.mm, host.me, small::span(0, 1), {}, out).complete());
        CHECK(host.me.irq_depth() == 1);
    }
    release(host, out, holding::reference);
}

TEST_CASE("5.1 items 1 and 5, 1.2 rule 1: refused before the walk, FAST_ONLY too",
          "[gup][fast][bad-input]") {
    small host;
    REQUIRE(host.map(1));
    std::array<pfn, 4> out{};
    auto const all = [&](page_span span, gup_flags flags, gup_output where, errc expected) {
        CHECK(gup_fast(host.mm, host.me, span, flags, where).error == expected);
        CHECK(gup_fast_only(host.mm, host.me, span, flags, where).error == expected);
        CHECK(pin_fast(host.mm, host.me, span, flags, where).error == expected);
        CHECK(pin_fast_only(host.mm, host.me, span, flags, where).error == expected);
    };
    all(small::span(0, 1), gup_flag::nowait, out, errc::invalid_argument);
    all(small::span(0, 1), gup_flag::hwpoison, out, errc::invalid_argument);
    all(small::span(0, 1), gup_flag::fast_only, out, errc::invalid_argument);
    all(small::span(0, 0), {}, out, errc::invalid_argument);
    all(small::span(0, 5), {}, out, errc::invalid_argument);  // output too short
    all(small::span(0, 1), {}, no_pages, errc::invalid_argument);
    auto const end = task_size_max(small::format::virtual_bits);
    all(*page_span::from({end.value - page_size}, page_count{2}), {}, out, errc::bad_address);
    all(*page_span::from({std::uint64_t{1} << 63}, page_count{1}), {}, out,
        errc::bad_address);  // kernel half
    all(*page_span::from({std::uint64_t{1} << 47}, page_count{1}), {}, out,
        errc::bad_address);  // non-canonical
    CHECK(gup_fast(host.mm, host.me, small::span(0, 1), gup_flag::longterm, out).error ==
          errc::invalid_argument);
}

TEST_CASE("5.1 items 7 and 11: a pin beside a fork is undone and falls back", "[gup][fast]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    std::array<pfn, 2> out{};
    host.mm.write_protect_seq().begin_write();
    CHECK(pin_fast_only(host.mm, host.me, small::span(0, 1), gup_flag::write, out).pages == 0);
    CHECK(gup_fast_only(host.mm, host.me, small::span(0, 1), gup_flag::write, out).pages ==
          1);  // GET does not care
    release(host, std::span{out}.first(1), holding::reference);
    CHECK(pin_fast(host.mm, host.me, small::span(0, 1), gup_flag::write, out).pages ==
          1);  // the slow path does
    CHECK(host.me.stats().fast_fallbacks == 1);
    release(host, std::span{out}.first(1), holding::pin);
    host.mm.write_protect_seq().end_write();
    CHECK(host.frames.pin_count(frame) == 0);
    CHECK(host.frames.ref_count(frame) == 1);
}

TEST_CASE("5.7 a COW-shared page under a read-only pin: the fast walk declines, the slow one unshares",
    "[gup][fast]") {
    small host{2048, frame_bytes::owned};
    REQUIRE(host.map(1));
    auto const shared = host.fill(0, prot::r);
    host.frames.clear_exclusive(shared);
    host.frames.get(shared);  // the other process that maps it
    std::array<pfn, 1> out{};
    auto const before = balance{host};
    CHECK(pin_fast(host.mm, host.me, small::span(0, 1), {}, out).complete());
    CHECK(out[0] != shared);
    CHECK(out[0] == host.entry(0).target);
    CHECK(host.frames.exclusive(out[0]));
    CHECK_FALSE(host.entry(0).writable);
    release(host, out, holding::pin);
    CHECK(before.even());
    host.frames.put(shared);
}

TEST_CASE("gup_fast over one 2 MiB leaf takes all pages in one step, and 512 small ones one by one",
          "[gup][fast]") {
    small host;
    REQUIRE(host.map(1024));
    auto const leaf = host.fill(0, prot::rw, 1);
    std::vector<pfn> out(600);
    CHECK(gup_fast_only(host.mm, host.me, small::span(0, 600), gup_flag::write, out).pages == 512);
    CHECK(out[511] == leaf.plus(511));
    release(host, std::span{out}.first(512), holding::reference);
    CHECK(host.frames.ref_count(leaf) == 512);
}
