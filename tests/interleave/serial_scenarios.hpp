// SPDX-License-Identifier: BSL-1.0
#pragma once

// Operations on one address space whose answers, and what they leave behind, must be those of some
// serial run – the same space on big_lock, where nothing overlaps. Holding is linearisable page by
// page (gup-semantics §11.2 a), so each call here is about one page.

#include "pair_world.hpp"

#include <mmhold/explore/history.hpp>
#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace mmhold_test {

/// What somebody wants of the first page.
struct memory_call {
    enum class what : std::uint8_t { replace, unmap, hold };
    what deed{what::hold};

    std::string text() const {
        switch (deed) {
            case what::replace: return "mmap over it";
            case what::unmap: return "munmap";
            case what::hold: return "pin_unlocked";
        }
        return "?";
    }
};

/// What it came to.
struct memory_answer {
    errc error{errc::ok};
    std::uint64_t pages{0};
    std::string text() const {
        return std::string{errno_name(error)} + ", " + std::to_string(pages) + " pages";
    }
    friend constexpr bool operator==(memory_answer const&, memory_answer const&) = default;
};

/// How a mapping is replaced: MAP_FIXED, or what a program without it would do.
enum class replacing : std::uint8_t { in_one_hold, in_two_holds };

/// A process with one page.
template<class Lock, replacing How = replacing::in_one_hold>
class small_memory {
public:
    using world = pair_world<pair_config<Lock>>;
    world w{{.pages = 1, .what = beginning::present::page}};

    memory_answer apply(memory_call const& call) { return serve(call, w.first); }
    memory_answer serve(memory_call const& call, typename world::cpu_type& me) {
        switch (call.deed) {
            case memory_call::what::replace: return {replace(me), 0};
            case memory_call::what::unmap: return {w.space.munmap(me, w.pages(1)).error(), 0};
            case memory_call::what::hold: return hold(me);
        }
        return {};
    }
    /// Is something mapped at the page, and how many pages are in all?
    bool looks_like(auto const& other) const {
        return w.translate(0).has_value() == other.w.translate(0).has_value() &&
               w.space.resident() == other.w.space.resident();
    }

private:
    errc replace(typename world::cpu_type& me) {
        if constexpr (How == replacing::in_two_holds) (void)w.space.munmap(me, w.pages(1));
        return w.space.mmap(me, w.fixed(1)).error();
    }
    memory_answer hold(typename world::cpu_type& me) {
        std::array<pfn, 1> out{};
        auto const got = pin_unlocked(w.space, me, w.pages(1), gup_flag::write, out);
        if (got.pages == 1) w.frames.unpin(out[0]);
        return {got.error, got.pages};
    }
};

/// One replaces the mapping, then takes it away; another holds the page twice.
template<replacing How>
struct replaced_and_held {
    using M = model_machine;
    static constexpr int actors = 2;
    small_memory<plain_mm_lock, How> memory;
    history<memory_call, memory_answer> log;

    void actor(int who) {
        using enum memory_call::what;
        auto& me = who == 0 ? memory.w.first : memory.w.second;
        for (auto const deed : who == 0 ? std::array{replace, unmap} : std::array{hold, hold}) {
            log.record(memory_call{deed},
                       [&](memory_call const& call) { return memory.serve(call, me); });
        }
    }
    void finish() {
        expect_explained_by<small_memory<big_lock<M>>>(
            log, [&](auto const& serial) { return memory.looks_like(serial); });
        memory.w.end();
    }
};

inline void add_serial_scenarios(scenario_book& book) {
    book.add<replaced_and_held<replacing::in_one_hold>>(
        "serial.replaced_and_held", "mmap over a page and munmap, against two holds of it",
        reach::tso_only);
    book.add_mutant<replaced_and_held<replacing::in_two_holds>>(
        "serial.replaced_and_held", "replaces_in_two_holds", "munmap and mmap, each with the lock",
        reach::tso_only);
}

}  // namespace mmhold_test
