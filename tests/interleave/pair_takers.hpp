// SPDX-License-Identifier: BSL-1.0
#pragma once

// The takers of pair_scenarios.hpp: those who want the page. Each is one call of the library, made
// of parts that a mutant may exchange.

#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/walk/locked_walker.hpp>
#include <mmhold/walk/lockless_walker.hpp>

#include "pair_world.hpp"
#include <array>
#include <cstdint>
#include <span>

namespace mmhold_test {

/// gup as the address space puts it together itself.
struct own_parts {
    template<class World, class Call>
    static gup_result with(World& w, typename World::cpu_type&, Call call) {
        return call(w.space);
    }
};

template<class Space>
using usual_fast_walker = lockless_walker<Space>;

/// gup with other walkers or another handler.
template<template<class> class Fast = usual_fast_walker, template<class> class Slow = locked_walker,
         template<class> class Handler = dispatch>
struct other_parts {
    template<class World, class Call>
    static gup_result with(World& w, typename World::cpu_type& me, Call call) {
        using space = typename World::space_type;
        Handler<space> handler{w.space};
        Slow<space> slow{w.space, me};
        Fast<space> fast{w.space};
        auto const mm = compose(w.space.lock(), handler, slow, fast);
        return call(mm);
    }
};

/// What the scenario needs to know of a taker.
struct taker_traits {
    holding how{holding::reference};
    bool may_answer_nothing{false};  ///< no page and no error is an answer (fast_only)
    bool starts_without_page{false};
    bool walks_without_lock{false};
    bool keeps_until_the_end{false};
    bool faults_and_looks_again{false};  ///< its searches are the largest
};

template<std::uint64_t Pages>
using gup_pages = std::array<pfn, Pages>;

template<std::uint64_t Pages = 1, class Parts = own_parts>
struct gup_fast_taker {
    static constexpr char const* name = "gup_fast";
    static constexpr taker_traits traits{.walks_without_lock = true,
                                         .faults_and_looks_again = true};
    static constexpr auto pages = Pages;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<Pages>& out) {
        return Parts::with(w, me, [&](auto& mm) {
            return gup_fast(mm, me, w.pages(Pages), gup_flag::write, out);
        });
    }
};

template<std::uint64_t Pages = 1, class Parts = own_parts>
struct gup_fast_only_taker {
    static constexpr char const* name = "gup_fast_only";
    static constexpr taker_traits traits{.may_answer_nothing = true, .walks_without_lock = true};
    static constexpr auto pages = Pages;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<Pages>& out) {
        return Parts::with(w, me, [&](auto& mm) {
            return gup_fast_only(mm, me, w.pages(Pages), gup_flag::write, out);
        });
    }
};

template<std::uint64_t Pages = 1, class Parts = own_parts>
struct pin_fast_taker {
    static constexpr char const* name = "pin_fast";
    static constexpr taker_traits traits{.how = holding::pin,
                                         .walks_without_lock = true,
                                         .keeps_until_the_end = true,
                                         .faults_and_looks_again = true};
    static constexpr auto pages = Pages;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<Pages>& out) {
        return Parts::with(w, me, [&](auto& mm) {
            return pin_fast(mm, me, w.pages(Pages), gup_flag::write, out);
        });
    }
};

/// Enters with the lock, may lose it; the witness, the answer and the record must say the same
/// about it.
template<std::uint64_t Pages = 1, class Parts = own_parts>
struct gup_locked_taker {
    static constexpr char const* name = "gup_locked";
    static constexpr taker_traits traits{.faults_and_looks_again = true};
    static constexpr auto pages = Pages;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<Pages>& out) {
        auto& lock = w.space.lock();
        lock.watch_me();
        auto held = held_shared<typename World::lock_type>::acquire(lock);
        auto const answer = Parts::with(w, me, [&](auto& mm) {
            return gup_locked(mm, me, may_drop(held), w.pages(Pages), gup_flag::write, out);
        });
        auto const never_dropped = !lock.was_given();
        World::M::expect((answer.lock == lock_fate::kept) == never_dropped,
                         "the lock is said to be kept exactly if it was never dropped");
        World::M::expect(held.holding() == never_dropped,
                         "the witness says what became of the lock");
        return answer;
    }
};

template<std::uint64_t Pages = 1, class Parts = own_parts>
struct gup_unlocked_taker {
    static constexpr char const* name = "gup_unlocked";
    static constexpr taker_traits traits{.faults_and_looks_again = true};
    static constexpr auto pages = Pages;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<Pages>& out) {
        return Parts::with(w, me, [&](auto& mm) {
            return gup_unlocked(mm, me, w.pages(Pages), gup_flag::write, out);
        });
    }
};

/// A cpu's own write fault: holds nothing afterwards.
template<template<class> class Handler = dispatch>
struct fault_taker {
    static constexpr char const* name = "fault";
    static constexpr taker_traits traits{
        .how = holding::none, .may_answer_nothing = true, .starts_without_page = true};
    static constexpr std::uint64_t pages = 1;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>&) {
        using lock = typename World::lock_type;
        auto const held = held_shared<lock>::acquire(w.space.lock());
        auto authority = lock_authority<lock>::keep(held);
        Handler<typename World::space_type> handler{w.space};
        auto const outcome =
            handler.handle({w.place, {fault_flag::write, fault_flag::user}}, authority, me);
        auto const failed = outcome.kind() == fault_kind::failed;
        return {0, failed ? gup_stop::error : gup_stop::complete, outcome.error(), lock_fate::kept};
    }
};

}  // namespace mmhold_test
