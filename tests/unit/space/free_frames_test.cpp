// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/free_frames.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

using namespace mmhold;
using detail::no_frame;

namespace {

/// A table of frames and the free ones among them.
struct fixture {
    using frame = detail::frame<checked_host_machine>;
    explicit fixture(std::uint32_t size, std::uint64_t first = 0)
        : frames{checked_host_machine::create_array<frame>(size)},
          free{frames, first, size},
          count{size} {}
    ~fixture() { checked_host_machine::destroy_array(frames, count); }
    frame* frames;
    detail::free_frames<checked_host_machine> free;
    std::uint32_t count;
};

struct piece {
    std::uint32_t at;
    unsigned order;
};

constexpr bool works_in_constant_evaluation() {
    detail::frame<constexpr_machine> frames[8]{};
    detail::free_frames<constexpr_machine> free{frames, 8, 8};
    auto const four = free.take(2);
    auto const one = free.take(0);
    auto const too_many = free.take(3);
    free.give(four, 2);
    free.give(one, 0);
    return four == 0 && one == 4 && too_many == no_frame && free.take(3) == 0;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("no frames: nothing to take") {
    fixture none{0};
    CHECK(none.free.take(0) == no_frame);
    CHECK(none.free.take(max_frame_order) == no_frame);
}

TEST_CASE("blocks are aligned by frame number, wherever the table begins") {
    for (std::uint64_t const first : {0U, 1U, 3U, 511U, 512U, 1000U, 1U << 20U}) {
        fixture pool{2048, first};
        for (unsigned order = 1; order <= 9; ++order) {
            auto const at = pool.free.take(order);
            INFO("first " << first << " order " << order);
            REQUIRE(at != no_frame);
            CHECK((first + at) % (1U << order) == 0);
            CHECK(at + (1U << order) <= 2048);
            pool.free.give(at, order);
        }
    }
}

TEST_CASE("single frames come back last in, first out") {
    fixture pool{16};
    auto const a = pool.free.take(0);
    auto const b = pool.free.take(0);
    pool.free.give(a, 0);
    pool.free.give(b, 0);
    CHECK(pool.free.take(0) == b);
    CHECK(pool.free.take(0) == a);
}

TEST_CASE("single frames that are kept apart join when a larger block is wanted") {
    fixture pool{512};
    std::vector<std::uint32_t> taken;
    for (int i = 0; i < 512; ++i) taken.push_back(pool.free.take(0));
    CHECK(pool.free.take(0) == no_frame);
    for (auto const at : taken) pool.free.give(at, 0);
    CHECK(pool.free.take(9) == 0);
    CHECK(pool.free.take(0) == no_frame);
}

TEST_CASE("a block with a hole is not whole") {
    fixture pool{8};
    std::vector<std::uint32_t> taken;
    for (int i = 0; i < 8; ++i) taken.push_back(pool.free.take(0));
    for (auto const at : taken) {
        if (at != 5) pool.free.give(at, 0);
    }
    CHECK(pool.free.take(3) == no_frame);
    CHECK(pool.free.take(2) == 0);
    CHECK(pool.free.take(1) == 6);
    CHECK(pool.free.take(1) == no_frame);
    CHECK(pool.free.take(0) == 4);
}

TEST_CASE("random taking and giving back: no frame is given twice, none is lost") {
    constexpr std::uint32_t count = 1500;  // not a power of two, and starting at an odd number
    fixture pool{count, 777};
    std::mt19937 random{20140926};
    std::vector<piece> taken;
    std::vector<int> owner(count, 0);
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 2 == 0) {
            auto const order = static_cast<unsigned>(random() % 6);
            auto const at = pool.free.take(order);
            if (at == no_frame) continue;
            REQUIRE(at + (1U << order) <= count);
            for (auto i = at; i < at + (1U << order); ++i) REQUIRE(owner[i]++ == 0);
            taken.push_back({at, order});
        } else if (!taken.empty()) {
            std::swap(taken[random() % taken.size()], taken.back());
            auto const [at, order] = taken.back();
            taken.pop_back();
            for (auto i = at; i < at + (1U << order); ++i) --owner[i];
            pool.free.give(at, order);
        }
    }
    for (auto const [at, order] : taken) pool.free.give(at, order);
    std::uint32_t whole = 0;  // everything is joined again: as much as a fresh pool has of the largest
    while (pool.free.take(8) != no_frame) ++whole;
    fixture fresh{count, 777};
    std::uint32_t expected = 0;
    while (fresh.free.take(8) != no_frame) ++expected;
    CHECK(whole == expected);
}
