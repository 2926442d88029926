// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/callers/uring_buffers.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/remote.hpp>
#include <mmhold/gup/unpin.hpp>

#include <array>

using namespace mmhold;

namespace {

using space_type = mmhold_test::small_space<>::space_type;

constexpr gup_flags for_ever{gup_flag::write, gup_flag::longterm};

/// Two frames where pins may stay for ever, eight where not: user pages begin there.
struct zoned : mmhold_test::small_space<> {
    explicit zoned(std::uint64_t fixed = 2)
        : small_space{fixed + 8, frame_bytes::owned, page_count{8}} {
        REQUIRE(map(4));
    }
    bool movable(pfn page) const {
        return frames.attributes(page).has(frame_attribute::longterm_forbidden);
    }
    void store(std::uint64_t number, char what) {
        std::array const one{std::byte(static_cast<unsigned char>(what))};
        REQUIRE(write_user(mm, me, page(number), one).bytes == 1);
    }
    char load(std::uint64_t number) {
        std::array<std::byte, 1> one{};
        REQUIRE(read_user(mm, me, page(number), one).bytes == 1);
        return static_cast<char>(one[0]);
    }
    bool nothing_pinned() const {
        return frames.statistics().pins_acquired == frames.statistics().pins_released;
    }
};

/// Gives the lock up once, then fills pages in like anonymous memory.
struct slow_once final : custom_source<space_type> {
    explicit slow_once(space_type& in) : memory{in} {}
    anonymous<space_type> memory;
    bool asked = false;
    outcome answer(fault_site const& site, lock_authority<lock_type>& authority,
                   cpu_type& me) override {
        if (std::exchange(asked, true)) return memory.answer(site, me);
        auto may = authority.permission();
        if (!may) return outcome::failed(errc::bad_address);
        return outcome::retry(may->drop(), {});
    }
};

}  // namespace

TEST_CASE("5.4: a long-term pin moves pages out of the movable zone, others leave them",
          "[gup][longterm]") {
    zoned host;
    host.store(0, 'a');
    auto const before = host.entry(0).target;
    REQUIRE(host.movable(before));
    std::array<pfn, 1> out{};
    REQUIRE(pin_unlocked(host.mm, host.me, host.span(0, 1), gup_flag::write, out).complete());
    CHECK(out[0] == before);
    unpin(host.frames, out);
    auto const how = GENERATE(0, 1, 2, 3);
    if (how == 0) {
        CHECK(pin_fast(host.mm, host.me, host.span(0, 1), for_ever, out).complete());
    } else if (how == 1) {
        CHECK(pin_unlocked(host.mm, host.me, host.span(0, 1), for_ever, out).complete());
    } else {
        auto held = host.hold();
        auto const got =
            how == 2 ? pin(host.mm, host.me, held, host.span(0, 1), for_ever, out)
                     : pin_remote(host.mm, host.me, may_drop(held), host.span(0, 1), for_ever, out);
        CHECK(got == gup_result{1, gup_stop::complete, errc::ok, lock_fate::kept});
        CHECK(held.holding());
    }
    CHECK(out[0] != before);
    CHECK_FALSE(host.movable(out[0]));
    CHECK(host.entry(0).target == out[0]);
    CHECK(host.frames.kind(before) == frame_kind::free);
    CHECK(host.frames.pin_count(out[0]) == 1);
    CHECK(host.load(0) == 'a');
    std::array<pfn, 1> again{};  // now the lockless walk may take it
    CHECK(pin_fast_only(host.mm, host.me, host.span(0, 1), for_ever, again).complete());
    CHECK(again == out);
    unpin(host.frames, out);
    unpin(host.frames, again);
    CHECK(host.nothing_pinned());
}

TEST_CASE("5.4: pages that a long-term pin faults in are moved as well, the zero page is copied",
          "[gup][longterm]") {
    zoned host;
    CHECK(host.load(1) == 0);
    std::array<pfn, 2> out{};
    REQUIRE(pin_unlocked(host.mm, host.me, host.span(0, 2), gup_flag::longterm, out).complete());
    for (auto const page : out) {
        CHECK_FALSE(host.movable(page));
        CHECK(host.frames.kind(page) == frame_kind::anonymous);
    }
    CHECK(host.frames.exclusive(out[0]));
    unpin(host.frames, out);
    CHECK(host.nothing_pinned());
}

TEST_CASE("1.2 rule 6: if one page cannot be moved nothing is pinned, and that is the error",
          "[gup][longterm]") {
    std::array<pfn, 3> out{};
    SECTION("somebody else holds the page") {
        zoned host;
        host.store(0, 'a');
        host.store(1, 'b');
        auto const held = host.entry(1).target;
        host.frames.get(held);
        auto const got = pin_unlocked(host.mm, host.me, host.span(0, 2), for_ever, out);
        CHECK(got == gup_result{0, gup_stop::error, errc::no_memory, lock_fate::never_held});
        CHECK(host.entry(1).target == held);
        CHECK(host.load(1) == 'b');
        CHECK(host.nothing_pinned());
        host.frames.put(held);
        CHECK(pin_unlocked(host.mm, host.me, host.span(0, 2), for_ever, out).complete());
        unpin(host.frames, std::span{out}.first(2));
    }
    SECTION("there is no frame left where it might stay") {
        zoned host;
        auto const got = pin_fast(host.mm, host.me, host.span(0, 3), for_ever, out);
        CHECK(got.pages == 0);
        CHECK(got.error == errc::no_memory);
        CHECK(host.nothing_pinned());
        // By now the lockless walk finds two where they may stay: a short pin.
        CHECK(uring_register(host.mm, host.me, {host.page(0), 3 * page_size}, out).error() ==
              errc::bad_address);
        CHECK(host.nothing_pinned());
    }
}

TEST_CASE("a page of shared memory is moved for all who map it", "[gup][longterm]") {
    zoned host;
    page_cache<space_type> object{host.frames, object_kind::shmem, page_size};
    for (std::uint64_t const place : {10U, 11U}) {
        auto request = object.request(0, page_count{1}, prot::rw, mmap_flag::shared);
        request.hint = host.page(place);
        REQUIRE(host.map(request));
    }
    host.store(10, 's');
    CHECK(host.load(11) == 's');
    std::array<pfn, 1> out{};
    CHECK(uring_register(host.mm, host.me, {host.page(10), 8}, out).value_or(0) == 1);
    CHECK_FALSE(host.movable(out[0]));
    CHECK(host.frames.attributes(out[0]).has(frame_attribute::shmem));
    CHECK(host.load(11) == 's');
    CHECK(host.entry(11).target == out[0]);
    host.store(11, 't');
    CHECK(host.load(10) == 't');
    unpin(host.frames, out);
    host.mm.exit(host.me);
}

TEST_CASE("a long-term pin that has lost the lock repeats the call without it", "[gup][longterm]") {
    zoned host;
    slow_once source{host.mm};
    REQUIRE(host.mm.set_source(host.me, host.span(0, 4), &source));
    auto held = host.hold();
    std::array<pfn, 2> out{};
    auto const got = pin_locked(host.mm, host.me, may_drop(held), host.span(0, 2), for_ever, out);
    CHECK(got == gup_result{2, gup_stop::complete, errc::ok, lock_fate::lost});
    CHECK_FALSE(held.holding());
    CHECK_FALSE(host.movable(out[0]));
    CHECK_FALSE(host.movable(out[1]));
    unpin(host.frames, out);
    CHECK(host.nothing_pinned());
}

TEST_CASE("a driver's own page cannot be moved", "[gup][longterm]") {
    zoned host;
    auto const page = *host.frames.allocate(frame_kind::other);
    CHECK_FALSE(host.movable(page));
    host.frames.add_attributes(page, frame_attribute::longterm_forbidden);
    auto shared = page_entry::leaf_to(page, prot::rw);
    REQUIRE(host.map({.hint = host.page(10),
                      .pages = page_count{1},
                      .flags = mmap_flag::shared,
                      .kind = vma_kind::other}));
    host.put(10, shared);
    std::array<pfn, 1> out{};
    CHECK(pin_fast(host.mm, host.me, host.span(10, 1), for_ever, out).error == errc::no_memory);
    CHECK(host.nothing_pinned());
}
