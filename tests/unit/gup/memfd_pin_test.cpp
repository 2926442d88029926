// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/gup/memfd_pin.hpp>

#include <array>

using namespace mmhold;

namespace {

using space_type = mmhold_test::small_space<>::space_type;

/// A memfd of four pages and a half, page 1 of which is there, where it may not stay.
struct memfd : mmhold_test::small_space<> {
    page_cache<space_type> object{frames, object_kind::shmem, 4 * page_size + 100};
    std::array<pfn, 8> out{};

    explicit memfd(std::uint64_t fixed = 8)
        : small_space{fixed + 4, frame_bytes::owned, page_count{4}} {
        auto const page = *object.find_or_add_zeroed(1);
        frames.bytes(page).front() = std::byte{5};
        frames.put(page);
    }
    ~memfd() { CHECK(frames.statistics().pins_acquired == frames.statistics().pins_released); }
    result<memfd_pins> pin(std::uint64_t first, std::uint64_t last) {
        return memfd_pin(object, me, first, last, out);
    }
    void give_back(std::size_t pages) { unpin(frames, std::span<pfn const>{out}.first(pages)); }
    bool movable(pfn page) const {
        return frames.attributes(page).has(frame_attribute::longterm_forbidden);
    }
};

}  // namespace

TEST_CASE("memfd_pin pins a range of a file, holes included, where it may stay",
          "[gup][longterm]") {
    memfd host;
    auto const got = host.pin(100, 4 * page_size + 99);
    REQUIRE(got.has_value());
    CHECK(*got == memfd_pins{5, 100});
    for (auto const page : std::span{host.out}.first(5)) {
        CHECK_FALSE(host.movable(page));
        CHECK(host.frames.pin_count(page) == 1);
        CHECK(host.frames.attributes(page).has(frame_attribute::shmem));
    }
    CHECK(host.frames.bytes(host.out[1]).front() == std::byte{5});
    CHECK(host.object.cached_pages() == 5);
    CHECK(host.object.find(1).value_or(pfn{}) == host.out[1]);
    host.frames.put(host.out[1]);
    host.give_back(5);
}

TEST_CASE("memfd_pin: no more than there is room for, and the last byte counts",
          "[gup][longterm]") {
    memfd host;
    std::array<pfn, 2> few{};
    auto const got = memfd_pin(host.object, host.me, 0, 4 * page_size, few);
    CHECK(got.value_or(memfd_pins{}) == memfd_pins{2, 0});
    unpin(host.frames, std::span<pfn const>{few});
    CHECK(host.pin(page_size - 1, page_size - 1).value_or(memfd_pins{}) ==
          memfd_pins{1, page_size - 1});
    host.give_back(1);
    CHECK(host.pin(page_size - 1, page_size).value_or(memfd_pins{}).pages == 2);
    host.give_back(2);
}

TEST_CASE("memfd_pin: what is refused", "[gup][longterm]") {
    memfd host;
    CHECK(host.pin(1, 0).error() == errc::invalid_argument);
    CHECK(host.pin(0, 4 * page_size + 100).error() == errc::invalid_argument);
    CHECK(memfd_pin(host.object, host.me, 0, 0, {}).error() == errc::invalid_argument);
    page_cache<space_type> file{host.frames, object_kind::file, page_size};
    CHECK(memfd_pin(file, host.me, 0, 0, host.out).error() == errc::invalid_argument);
}

TEST_CASE("memfd_pin: all or nothing", "[gup][longterm]") {
    SECTION("a page that somebody holds cannot be moved") {
        memfd host;
        auto const page = *host.object.find(1);
        CHECK(host.pin(0, 2 * page_size).error() == errc::no_memory);
        host.frames.put(page);
        CHECK(host.pin(0, 2 * page_size).has_value());
        host.give_back(3);
    }
    SECTION("no frame is left where it might stay") {
        memfd host{2};
        CHECK(host.pin(0, 3 * page_size).error() == errc::no_memory);
    }
    SECTION("broken memory") {
        memfd host;
        REQUIRE(host.object.poison(host.me, 1).has_value());
        CHECK(host.pin(0, page_size).error() == errc::hardware_poison);
    }
}
