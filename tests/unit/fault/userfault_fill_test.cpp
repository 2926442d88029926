// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/userfault_fill.hpp>

#include "unit/fault/fault_world.hpp"
#include <array>

using namespace mmhold_test;
using mm::errc;
using mm::userfault_filled;

namespace {

struct toy_source : mm::fault_source {
    toy_source() : fault_source{mm::source_kind::userfault} {}
};

/// Four pages whose faults a source of the test's answers.
struct fill_world : fault_world {
    toy_source source{};
    mm::virt_addr at;

    explicit fill_world(mm::mmap_flags how = {}) : fault_world{8}, at{0} {
        at = map(0, 4, mm::prot::rw, how, &source);
    }
    ~fill_world() { (void)space.munmap(me, span(0, 16)); }
    userfault_filled fill(mm::page_span range, auto filler) {
        auto const held = hold();
        return mm::fill_userfault_range(space, held, me, range, source, filler);
    }
};

constexpr auto sevens = [](std::uint64_t n, std::span<std::byte> bytes) {
    bytes[0] = static_cast<std::byte>(7 + n);
};
using sevens_filler = mm::fresh_page_filler<fault_space, decltype(sevens)>;

}  // namespace

TEST_CASE("bytes_from copies page by page, and nothing where no bytes are wanted",
          "[fault][userfault]") {
    std::array<std::byte, 2 * mm::page_size> from{};
    from[mm::page_size] = std::byte{3};
    std::array<std::byte, mm::page_size> to{};
    mm::bytes_from const copy{from};
    copy(1, to);
    CHECK(to[0] == std::byte{3});
    copy(0, {});
}

TEST_CASE("filled says how far it came", "[fault][userfault]") {
    CHECK(userfault_filled{4, errc::ok}.complete());
    CHECK_FALSE(userfault_filled{3, errc::exists}.complete());
}

TEST_CASE("a range is filled with fresh pages, numbered from its start", "[fault][userfault]") {
    fill_world world;
    sevens_filler filler{world.space, sevens};
    CHECK(world.fill(world.span(1, 2), filler) == userfault_filled{2, errc::ok});
    CHECK(world.first_byte(world.entry(world.page(1)).target) == std::byte{7});
    CHECK(world.first_byte(world.entry(world.page(2)).target) == std::byte{8});
    CHECK(world.entry(world.page(0)).none());
    CHECK(world.fill(world.span(0, 4), filler) == userfault_filled{1, errc::exists});
    CHECK(world.frames_in_use() == 3);
}

TEST_CASE("zeroes: the zero page, or a frame where the mapping is shared", "[fault][userfault]") {
    fill_world own;
    mm::zero_page_filler<fault_space> zero{own.space};
    CHECK(own.fill(own.span(0, 4), zero).complete());
    CHECK(own.frames_in_use() == 0);
    fill_world shared{mm::mmap_flag::shared};
    mm::zero_page_filler<fault_space> frames{shared.space};
    CHECK(shared.fill(shared.span(0, 4), frames).complete());
    CHECK(shared.frames_in_use() == 4);
}

TEST_CASE("only inside one vma of this source", "[fault][userfault][bad-input]") {
    fill_world world;
    world.map(4, 1);
    mm::zero_page_filler<fault_space> zero{world.space};
    CHECK(world.fill({}, zero).stop == errc::invalid_argument);
    CHECK(world.fill(world.span(3, 2), zero).stop == errc::bad_address);
    CHECK(world.fill(world.span(4, 1), zero).stop == errc::bad_address);
    CHECK(world.fill(world.span(9, 1), zero).stop == errc::bad_address);
    CHECK(world.entry(world.page(3)).none());
}

TEST_CASE("a poisoned page: every touch fails, and it gives way to a copy only",
          "[fault][userfault]") {
    fill_world world;
    CHECK(world.fill(world.span(1, 2), mm::poison_filler{world.space}) ==
          userfault_filled{2, errc::ok});
    CHECK(mm::is_poisoned(world.entry(world.page(1))));
    CHECK(world.fill(world.span(1, 1), mm::poison_filler{world.space}).stop == errc::exists);
    CHECK(world.fill(world.span(1, 1), mm::zero_page_filler{world.space}).stop == errc::exists);
    REQUIRE(world.space.mprotect(world.me, world.span(0, 4), mm::prot::r).has_value());
    CHECK(mm::is_poisoned(world.entry(world.page(1))));
    CHECK(world.fill(world.span(1, 1), sevens_filler{world.space, sevens}).complete());
    CHECK(world.entry(world.page(1)).is_leaf());
    REQUIRE(world.space.dontneed(world.me, world.span(2, 1)).has_value());
    CHECK(world.entry(world.page(2)).none());
}

TEST_CASE("a page is there already, or protected pages were not registered for",
          "[fault][userfault]") {
    fill_world world;
    CHECK(world.fill(world.span(0, 1), sevens_filler{world.space, sevens}).complete());
    CHECK(world.fill(world.span(0, 1), mm::poison_filler{world.space}).stop == errc::exists);
    sevens_filler const protect{world.space, sevens, mm::userfault_protection::on};
    CHECK(world.fill(world.span(1, 1), protect).stop == errc::invalid_argument);
}
