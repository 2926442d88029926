// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/gup/faultin.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/memory_failure.hpp>
#include <mmhold/space/object_bytes.hpp>

#include "unit/space/object_world.hpp"
#include <array>

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// Private memory at page 0, the object at pages 10 (of `one`) and 20 (of `two`).
struct failing : object_world {
    explicit failing(object_kind kind = object_kind::shmem)
        : object_world{kind, 4,
                       kind == object_kind::file ? dirty_tracking::on : dirty_tracking::off} {
        REQUIRE(one.mmap(me, {.hint = at(0), .pages = page_count{2}, .flags = mmap_flag::fixed}));
        map(one, 10, 0, 2);
        map(two, 20, 0, 2);
    }
    trap store(space_type& space, std::uint64_t place, int value) {
        std::array const byte{static_cast<std::byte>(value)};
        return write_user(space, me, at(place), byte).why;
    }
    /// The byte at `place`, or the trap, as a negative number.
    int load(space_type& space, std::uint64_t place) {
        std::array<std::byte, 1> byte{};
        auto const got = read_user(space, me, at(place), byte);
        return got.bytes == 1 ? static_cast<int>(byte[0]) : -static_cast<int>(got.why);
    }
    result<pfn> fail(std::uint64_t place) {
        auto const held = held_shared<space_type::lock_type>::acquire(one.lock());
        return memory_failure(held, me, one, at(place));
    }
    result<pfn> offline(std::uint64_t place) {
        auto const held = held_shared<space_type::lock_type>::acquire(one.lock());
        return soft_offline(held, me, one, at(place));
    }
    std::uint64_t free() const { return frames.statistics().free; }
};

constexpr int poisoned = -static_cast<int>(trap::memory_error);

}  // namespace

TEST_CASE("8.2 note 8: broken private memory is SIGBUS to its owner and poison to gup",
          "[space][memory_failure]") {
    failing w;
    REQUIRE(w.store(w.one, 0, 5) == trap::none);
    auto const before = w.free();
    auto const page = w.fail(0);
    REQUIRE(page.has_value());
    CHECK(is_poisoned(w.entry(w.one, 0)));
    CHECK(w.load(w.one, 0) == poisoned);
    CHECK(w.store(w.one, 0, 6) == trap::memory_error);
    std::array<pfn, 1> out{};
    CHECK(gup_unlocked(w.one, w.me, w.span(0, 1), {}, out).error == errc::bad_address);
    CHECK(gup_unlocked(w.one, w.me, w.span(0, 1), gup_flag::hwpoison, out).error ==
          errc::hardware_poison);
    user_range const range{w.at(0), page_size};
    CHECK(madvise_populate(w.one, w.me, range, access::read).error() == errc::hardware_poison);
    CHECK(w.free() == before);  // the frame is out of use
    CHECK(w.frames.kind(*page) == frame_kind::free);
    CHECK(w.one.resident().anonymous == 0);
    REQUIRE(w.one.dontneed(w.me, w.span(0, 1)).has_value());
    CHECK(w.load(w.one, 0) == 0);
}

TEST_CASE("who holds a broken page keeps it, a child that has it cannot copy it",
          "[space][memory_failure]") {
    failing w;
    REQUIRE(w.store(w.one, 0, 5) == trap::none);
    object_world::space_type child{w.frames, w.tables, w.domain, w.nobody, w.flush};
    REQUIRE(fork(w.me, w.one, child).has_value());
    auto const page = w.fail(0);
    REQUIRE(page.has_value());
    CHECK(w.frames.ref_count(*page) == 1);
    CHECK(w.load(child, 0) == 5);  // nobody has told it
    w.frames.get(*page);           // or it would not be copied
    CHECK(w.store(child, 0, 6) == trap::memory_error);
    w.frames.put(*page);
    child.exit(w.me);
    CHECK(w.frames.kind(*page) == frame_kind::free);
}

TEST_CASE("broken shared memory is poison for all who map it, and stays so",
          "[space][memory_failure]") {
    failing w;
    REQUIRE(w.store(w.one, 10, 7) == trap::none);
    REQUIRE(w.load(w.two, 20) == 7);
    REQUIRE(w.fail(10).has_value());
    CHECK(w.load(w.one, 10) == poisoned);
    CHECK(w.load(w.two, 20) == poisoned);
    REQUIRE(w.two.dontneed(w.me, w.span(20, 1)).has_value());
    CHECK(w.load(w.two, 20) == poisoned);
    std::array<std::byte, 4> to{};
    CHECK(read_object(w.object, 0, to).stop == errc::hardware_poison);
    CHECK(w.load(w.two, 21) == 0);  // its neighbour is well
    CHECK(w.object.migrate(w.me, 0).error() == errc::hardware_poison);
    REQUIRE(w.object.punch(w.me, {0, 1}).has_value());
    REQUIRE(w.two.dontneed(w.me, w.span(20, 1)).has_value());
    CHECK(w.load(w.two, 20) == 0);
}

TEST_CASE("of a file a clean page just goes, a dirty one is poison", "[space][memory_failure]") {
    failing w{object_kind::file};
    auto const page = *w.object.find_or_add_zeroed(0);
    w.frames.put(page);
    SECTION("clean") {
        REQUIRE(w.load(w.one, 10) == 0);
        REQUIRE(w.fail(10).value_or(pfn{}) == page);
        CHECK(w.entry(w.one, 10).none());
    }
    SECTION("dirty") {
        REQUIRE(w.store(w.one, 10, 3) == trap::none);
        REQUIRE(w.load(w.two, 20) == 3);
        REQUIRE(w.fail(10).value_or(pfn{}) == page);
        CHECK(is_poisoned(w.entry(w.one, 10)));
        CHECK(is_poisoned(w.entry(w.two, 20)));
    }
    CHECK(w.object.cached_pages() == 0);
    CHECK(w.frames.kind(page) == frame_kind::free);
}

TEST_CASE("soft offline: the contents move, the frame is never used again",
          "[space][memory_failure]") {
    failing w;
    auto const place = GENERATE(0U, 10U);
    REQUIRE(w.store(w.one, place, 9) == trap::none);
    auto const before = w.free();
    auto const old = w.offline(place);
    REQUIRE(old.has_value());
    CHECK(w.load(w.one, place) == 9);
    CHECK(w.entry(w.one, place).target != *old);
    CHECK(w.frames.kind(*old) == frame_kind::free);
    CHECK(w.free() == before - 1);
}

TEST_CASE("soft offline: a page that somebody holds stays in use", "[space][memory_failure]") {
    failing w;
    REQUIRE(w.store(w.one, 0, 9) == trap::none);
    auto const page = w.entry(w.one, 0).target;
    w.frames.get(page);
    CHECK(w.offline(0).error() == errc::busy);
    w.frames.put(page);
    CHECK_FALSE(w.frames.attributes(page).has(frame_attribute::offlined));
    CHECK(w.load(w.one, 0) == 9);
    auto const before = w.free();
    REQUIRE(w.one.munmap(w.me, w.span(0, 1)).has_value());
    CHECK(w.free() == before + 1);
}

TEST_CASE("memory_failure: what cannot be taken out of use", "[space][memory_failure]") {
    failing w;
    CHECK(w.fail(0).error() == errc::bad_address);   // nothing there
    CHECK(w.fail(99).error() == errc::bad_address);  // no mapping
    REQUIRE(w.load(w.one, 0) == 0);
    CHECK(w.fail(0).error() == errc::busy);  // the zero page
    CHECK(w.offline(0).error() == errc::busy);
    auto const other = held_shared<object_world::space_type::lock_type>::acquire(w.two.lock());
    CHECK(memory_failure(other, w.me, w.one, w.at(0)).error() == errc::lock_not_held);
}
