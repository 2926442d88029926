// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>

using namespace mmhold;
using small = mmhold_test::small_space<>;

namespace {

void release(small& host, std::span<pfn const> pages, holding how = holding::reference) {
    pinned{host.frames, pages, how}.release();
}

}  // namespace

TEST_CASE("gup on an address space faults anonymous memory in: the zero page to read, a page of its own to write",
    "[gup]") {
    small host;
    REQUIRE(host.map(3));
    std::array<pfn, 3> out{};
    auto const held = host.hold();
    CHECK(gup(host.mm, host.me, held, small::span(0, 3), {}, out).complete());
    CHECK(out[0] == host.frames.zero_page());
    release(host, out);
    CHECK(gup(host.mm, host.me, held, small::span(0, 3), gup_flag::write, out).complete());
    CHECK(out[0] != host.frames.zero_page());
    CHECK(host.frames.exclusive(out[2]));
    CHECK(host.frames.dirty(out[1]));
    release(host, out);
    CHECK(host.me.stats().faults == 6);
    CHECK(host.frames.ref_count(out[0]) == 1);
}

TEST_CASE("all six ways hold the same three pages", "[gup]") {
    small host;
    REQUIRE(host.map(3));
    std::array<pfn, 3> first{};
    std::array<pfn, 3> out{};
    REQUIRE(gup_unlocked(host.mm, host.me, small::span(0, 3), gup_flag::write, first).complete());
    release(host, first);
    auto held = host.hold();
    for (auto const& got :
         {gup(host.mm, host.me, held, small::span(0, 3), gup_flag::write, out),
          gup_locked(host.mm, host.me, may_drop(held), small::span(0, 3), gup_flag::write, out)}) {
        CHECK(got == gup_result{3, gup_stop::complete, errc::ok, lock_fate::kept});
        CHECK(out == first);
    }
    release(host, out);
    release(host, out);
    CHECK(pin(host.mm, host.me, held, small::span(0, 3), gup_flag::write, out).complete());
    CHECK(pin_locked(host.mm, host.me, may_drop(held), small::span(0, 3), gup_flag::write, out)
              .complete());
    (void)held.give_up();
    CHECK(pin_unlocked(host.mm, host.me, small::span(0, 3), gup_flag::write, out).complete());
    CHECK(out == first);
    CHECK(host.frames.pin_count(first[0]) == 3);
    for (int i = 0; i < 3; ++i) release(host, out, holding::pin);
    CHECK(host.frames.ref_count(first[0]) == 1);
}

TEST_CASE("no vma, PROT_NONE, read-only: bad_address where Linux says EFAULT, FORCE reads and writes private memory",
    "[gup]") {
    small host;
    REQUIRE(host.map(3, prot::none));
    REQUIRE(host.mm.mprotect(host.me, small::span(1, 1), prot::r));
    std::array<pfn, 1> out{};
    auto const linux_says = [&](std::uint64_t page, gup_flags flags) {
        auto const got = gup_unlocked(host.mm, host.me, small::span(page, 1), flags, out);
        if (got.pages == 1) release(host, out);
        return to_linux(got);
    };
    CHECK(linux_says(9, {}) == -14);
    CHECK(linux_says(0, {}) == -14);
    CHECK(linux_says(1, {}) == 1);
    CHECK(linux_says(1, gup_flag::write) == -14);
    CHECK(linux_says(0, gup_flag::force) == 1);
    CHECK(linux_says(1, {gup_flag::write, gup_flag::force}) == 1);
    CHECK_FALSE(host.entry(1).writable);  // §4.1: later stores of the owner still fault
    CHECK(host.frames.exclusive(host.entry(1).target));
}

TEST_CASE("exhausted frames and exhausted tables are no_memory, what was held before stays held",
          "[gup][bad-input]") {
    small host{2};
    REQUIRE(host.map(4));
    std::array<pfn, 4> out{};
    auto const got = gup_unlocked(host.mm, host.me, small::span(0, 4), gup_flag::write, out);
    CHECK(got == gup_result{2, gup_stop::error, errc::no_memory, lock_fate::never_held});
    CHECK(to_linux(gup_unlocked(host.mm, host.me, small::span(2, 1), gup_flag::write, out)) == -12);
    release(host, std::span{out}.first(2));
}

TEST_CASE("killed before the lock is taken: EINTR from the walk's first look, no page is held",
          "[gup]") {
    small host;
    REQUIRE(host.map(1));
    std::array<pfn, 1> out{};
    host.me.current().kill();
    auto const got = gup_unlocked(host.mm, host.me, small::span(0, 1), gup_flag::write, out);
    CHECK(got.pages == 0);
    CHECK(got.error == errc::interrupted);
    CHECK_FALSE(host.mm.lock().has_writer());
    CHECK(host.mm.lock().readers() == 0);
}

TEST_CASE("protection keys of the calling cpu bind, REMOTE is the library's to say", "[gup]") {
    small host;
    REQUIRE(host.map({.pages = {1}, .pkey = 5}));
    std::array<pfn, 1> out{};
    host.me.set_key_rights(protection_key_rights{}.with(5, 1));
    CHECK(to_linux(gup_unlocked(host.mm, host.me, small::span(0, 1), {}, out)) == -14);
    CHECK(to_linux(gup_unlocked(host.mm, host.me, small::span(0, 1), gup_flag::remote, out)) ==
          -22);
    host.me.set_key_rights({});
    CHECK(to_linux(gup_unlocked(host.mm, host.me, small::span(0, 1), gup_flag::write, out)) == 1);
    release(host, out);
}
