// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/seq_count.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "support/together.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using seq = seq_count<machine>;

template<Machine M>
constexpr bool readers_notice_writers() {
    seq_count<M> count;
    auto const undisturbed = count.read_begin();
    if (undisturbed.writing() || count.read_retry(undisturbed)) return false;
    count.begin_write();
    if (!count.read_retry(undisturbed)) return false;
    auto const inside = count.read_begin();
    if (!inside.writing() || !count.read_retry(inside)) return false;
    count.end_write();
    if (!count.read_retry(undisturbed) || !count.read_retry(inside)) return false;
    auto const after = count.read_begin();
    return !after.writing() && !count.read_retry(after);
}
static_assert(readers_notice_writers<constexpr_machine>());

}  // namespace

TEST_CASE("5.1 a reader notices a writer that was, is, or comes to be at work") {
    CHECK(readers_notice_writers<machine>());
}

TEST_CASE("seq_count: what a reader may keep is never torn") {
    seq count;
    machine::atomic<std::uint64_t> left{0};
    machine::atomic<std::uint64_t> right{0};
    std::atomic<bool> stop{false};
    std::atomic<unsigned> kept{0};
    std::atomic<unsigned> torn{0};
    auto const write = [&] {
        for (std::uint64_t i = 1; !stop; ++i) {
            count.begin_write();
            left.store(i, relaxed);
            right.store(i, relaxed);
            count.end_write();
            std::this_thread::yield();  // or a reader finds no time to read in
        }
    };
    auto const read = [&] {
        while (kept < 30'000) {
            auto const start = count.read_begin();
            auto const one = left.load(relaxed);
            auto const two = right.load(relaxed);
            if (count.read_retry(start)) continue;
            ++kept;
            if (one != two) ++torn;
        }
        stop = true;
    };
    mmhold_test::in_threads(write, read);
    CHECK(torn == 0);
}

// gup_fast pins and looks whether a fork began; fork begins and looks whether the page is pinned.
TEST_CASE("6.2 #7 a pin and a fork at the same time: at least one notices the other") {
    unsigned unnoticed = 0;
    for (int round = 0; round < 1000; ++round) {
        seq count;
        machine::atomic<std::uint32_t> pins{0};
        std::atomic<int> at_the_start{0};
        std::optional<seq::sequence> start;
        bool pin_kept = false;
        bool pin_seen = false;
        auto const together = [&] {
            ++at_the_start;
            while (at_the_start != 2) std::this_thread::yield();
        };
        auto const pinner = [&] {
            together();
            start = count.read_begin();
            pins.store(1, relaxed);
            pin_kept = !count.read_retry(*start);
        };
        auto const forker = [&] {
            together();
            count.begin_write();
            pin_seen = pins.load(relaxed) != 0;
            count.end_write();
        };
        mmhold_test::in_threads(pinner, forker);
        auto const began_before_the_fork_ended = count.read_retry(*start);
        if (pin_kept && !pin_seen && began_before_the_fork_ended) ++unnoticed;
    }
    CHECK(unnoticed == 0);
}

TEST_CASE("seq_count: two writers at once, or an end without a beginning, are found out") {
    auto const nested = mmhold_test::last_words([] {
        seq count;
        count.begin_write();
        count.begin_write();
    });
    CHECK(nested.words.find("begin_write inside another writer's section") != std::string::npos);
    auto const lonely = mmhold_test::last_words([] {
        seq count;
        count.end_write();
    });
    CHECK(lonely.words.find("end_write without begin_write") != std::string::npos);
}
