// SPDX-License-Identifier: BSL-1.0
#pragma once

// Those who want something of the address space at the same time. Each runs in a thread of its own.

#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/errc.hpp>

#include "samples.hpp"
#include "settle.hpp"
#include "ways.hpp"
#include "world.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

namespace stall {

inline constexpr std::uint64_t pages_per_call = 4;

/// Counts one actor's rounds where others can see them.
using round_counter = std::atomic<std::uint64_t>;

/// `cat /proc/PID/maps`, again and again: takes the mm lock shared and walks all mappings.
class maps_reader {
public:
    /// A walk finds `pages`, and perhaps the writer's `scratch` pages, and nothing in between.
    maps_reader(world& in, std::uint64_t pages, mmhold::page_count scratch)
        : world_{in}, pages_{pages}, scratch_{scratch.value} {}

    void run(cpu_type& me, std::stop_token const& end, duration pause) {
        while (!end.stop_requested()) {
            if (!saw_whole_layout(me)) ++torn_;
            rounds.fetch_add(1, std::memory_order_relaxed);
            std::this_thread::sleep_for(pause);
        }
    }

    /// Walks that saw a layout that never was: the lock does not do its work.
    [[nodiscard]] std::uint64_t torn() const { return torn_; }

    round_counter rounds{0};

private:
    bool saw_whole_layout(cpu_type& me) {
        auto const held = world_.hold();
        doing const now{world_, me, activity::walking};
        auto const seen = walk_mappings(world_, held).pages;
        return seen == pages_ || seen == pages_ + scratch_;
    }

    world& world_;
    std::uint64_t pages_;
    std::uint64_t scratch_;
    std::uint64_t torn_{0};
};

/// A thread that needs memory and gives it back, again and again.
class layout_writer {
public:
    static constexpr mmhold::page_count scratch{16};

    explicit layout_writer(world& in) : world_{in} {}

    void run(cpu_type& me, std::stop_token const& end, duration pause) {
        while (!end.stop_requested()) {
            if (auto const done = map_and_unmap(me); !done) error_ = done.error();
            rounds.fetch_add(1, std::memory_order_relaxed);
            std::this_thread::sleep_for(pause);
        }
    }

    /// ok, or why some call failed.
    [[nodiscard]] mmhold::errc error() const { return error_; }

    round_counter rounds{0};

private:
    mmhold::result<void> map_and_unmap(cpu_type& me) {
        doing const now{world_, me, activity::remapping};
        auto const start = world_.mm.mmap(me, {.pages = scratch});
        if (!start) return start.error();
        return world_.mm.munmap(me, *mmhold::page_span::from(*start, scratch));
    }

    world& world_;
    mmhold::errc error_{mmhold::errc::ok};
};

/// Somebody who does I/O to the process's memory (O_DIRECT), or runs a virtual machine in it: wants
/// the pages of its own part of the area, writes to them, lets go, and starts over.
class page_caller {
public:
    page_caller(world& in, way const& how, mmhold::page_span wanted)
        : world_{in}, how_{how}, wanted_{wanted} {}

    /// `rest` is how long it thinks between two calls. Counts its calls in `done`.
    void run(cpu_type& me, std::uint32_t calls, duration rest, round_counter& done) {
        for (std::uint32_t call = 0; call < calls; ++call) {
            if (call != 0) std::this_thread::sleep_for(rest);
            get_and_release(me);
            if (how_.pages != supply::present) forget_contents(me);
            done.fetch_add(1, std::memory_order_relaxed);
        }
    }

    /// Pages that were had, and were the right ones.
    [[nodiscard]] std::uint64_t pages_held() const { return pages_held_; }
    /// The first one.
    [[nodiscard]] mmhold::errc error() const { return error_; }
    [[nodiscard]] duration longest_call() const { return longest_call_; }

private:
    using clock = std::chrono::steady_clock;

    void get_and_release(cpu_type& me) {
        std::vector<mmhold::pfn> frames(wanted_.pages());
        auto const begin = clock::now();
        auto const got = how_.get(world_.mm, me, wanted_, frames);
        longest_call_ = std::max<duration>(longest_call_, clock::now() - begin);
        note(got.error);
        mmhold::pinned held{world_.frames, std::span{frames}.first(got.pages),
                            mmhold::holding::reference};
        for (std::size_t i = 0; i < held.size(); ++i) {
            auto const bytes = world_.frames.bytes(held[i]);
            if (is_page(wanted_.page(i), bytes)) ++pages_held_;
            bytes.back() = std::byte{1};
        }
        held.release_dirty();
    }

    /// So that the next call finds them missing again: madvise(MADV_DONTNEED).
    void forget_contents(cpu_type& me) { note(world_.mm.dontneed(me, wanted_).error()); }

    void note(mmhold::errc error) {
        if (error_ == mmhold::errc::ok) error_ = error;
    }

    world& world_;
    way const& how_;
    mmhold::page_span wanted_;
    std::uint64_t pages_held_{0};
    mmhold::errc error_{mmhold::errc::ok};
    duration longest_call_{0};
};

}  // namespace stall
