// SPDX-License-Identifier: BSL-1.0
#pragma once

// A userfault made again from the parts of the library – queue, present_page, fillers – so that one
// step of its protocol can be left out or put in the wrong order (gup-semantics §3, §6.2 #18 and
// #19).

#include <mmhold/fault/custom_source.hpp>
#include <mmhold/fault/userfault_fill.hpp>
#include <mmhold/fault/userfault_queue.hpp>

#include "pair_mutants.hpp"
#include "pair_userfault.hpp"
#include <cstdint>
#include <span>
#include <utility>

namespace mmhold_test {

/// What is left out, or comes too early.
enum class userfault_bug : std::uint8_t {
    none,
    no_second_look,
    sleeps_with_the_lock,
    copy_does_not_wake,
    wakes_before_the_copy,
    fills_after_installing,
    close_does_not_wake,
    close_wakes_first,
    unregister_does_not_wake,
};

/// userfault, as far as userfault_pair needs it.
template<class Space, userfault_bug Bug>
class rebuilt_userfault : public custom_source<Space> {
public:
    using M = model_machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = typename custom_source<Space>::outcome;

    explicit rebuilt_userfault(Space& space) : space_{space}, present_{space} {}

    result<void> register_range(cpu_type& me, page_span span) {
        return space_.set_source(me, span, this);
    }
    result<void> unregister_range(cpu_type& me, page_span span) {
        auto const held = held_exclusive<lock_type>::acquire(space_.lock());
        auto const done = space_.set_source_locked(held, me, span, nullptr);
        if (Bug != userfault_bug::unregister_does_not_wake) (void)queue_.wake(span);
        return done;
    }
    void stop() { queue_.stop(); }
    result<void> close(cpu_type& me) {
        if (Bug == userfault_bug::close_wakes_first) {
            (void)queue_.wake_all();
        } else {
            stop();
        }
        auto const held = held_exclusive<lock_type>::acquire(space_.lock());
        while (auto const mine = first_registered(space_, held, *this)) {
            (void)space_.set_source_locked(held, me, *mine, nullptr);
        }
        auto const wakes =
            Bug != userfault_bug::close_does_not_wake && Bug != userfault_bug::close_wakes_first;
        if (wakes) (void)queue_.wake_all();
        return {};
    }

    outcome answer(fault_site const& site, lock_authority<lock_type>& authority,
                   cpu_type& me) override {
        if (auto const there = present_.answer(site, me)) {
            return *there ? outcome::installed() : outcome::failed(there->error());
        }
        auto permission = authority.permission();
        if (!permission || !site.flags.has(fault_flag::allow_retry))
            return outcome::failed(errc::bad_address);
        if (queue_.stopped()) return outcome::retry(permission->drop(), {});
        auto ticket = queue_.raise(me.current(), site.page(), {});
        if (!ticket) return outcome::failed(ticket.error());
        if (Bug != userfault_bug::no_second_look && !present_.is_missing(me, site.at))
            ticket->reset();
        if (Bug == userfault_bug::sleeps_with_the_lock) ticket->wait(wait_mode::killable);
        return outcome::retry(permission->drop(), *std::move(ticket));
    }

    result<userfault_event> wait_event(task<M>& reader, wait_mode mode) {
        return queue_.wait_event(reader, mode);
    }
    userfault_filled zeropage(cpu_type& me, page_span span) {
        return put(me, span, zero_page_filler<Space>{space_});
    }
    template<class Fill>
    userfault_filled copy_with(cpu_type& me, page_span span, Fill&& fill) {
        if (Bug == userfault_bug::fills_after_installing) {
            auto const nothing = [](std::uint64_t, std::span<std::byte>) {};
            auto const done =
                put(me, span, fresh_page_filler<Space, decltype(nothing)>{space_, nothing});
            auto const held = held_shared<lock_type>::acquire(space_.lock());
            auto const entry = space_.table().lock_leaf(me, span.start(), 0, if_absent::fail);
            if (entry) fill(0, space_.frames().bytes(entry->read().target));
            return done;
        }
        return put(me, span, fresh_page_filler<Space, Fill>{space_, fill});
    }
    result<std::uint32_t> wake(page_span range) { return queue_.wake(range); }

private:
    template<class Filler>
    userfault_filled put(cpu_type& me, page_span span, Filler filler) {
        if (Bug == userfault_bug::wakes_before_the_copy) (void)queue_.wake(span);
        auto done = userfault_filled{};
        {
            auto const held = held_shared<lock_type>::acquire(space_.lock());
            done = fill_userfault_range(space_, held, me, span, *this, filler);
        }
        auto const late =
            Bug != userfault_bug::wakes_before_the_copy && Bug != userfault_bug::copy_does_not_wake;
        if (late && done.pages != 0) (void)queue_.wake(span);
        return done;
    }
    Space& space_;
    present_page<Space> present_;
    userfault_queue<M> queue_{};
};

template<userfault_bug Bug>
struct rebuilt {
    template<class Space>
    using with = rebuilt_userfault<Space, Bug>;
};

/// A gup that may wait, a writer that needs the mm lock meanwhile, and a pager that serves nobody
/// until the writer is done: the reason why gup learnt to drop the lock.
template<template<class> class Userfault = usual_userfault>
struct writer_beside_waiting_gup {
    using M = model_machine;
    using world = pair_world<pair_config<>>;  // the fair lock, with its line
    static constexpr int actors = 3;
    world w{{.pages = 1, .what = beginning::present::nothing}};
    judged_taker<gup_locked_taker<>, nobody_meddles, world> taker{w};
    Userfault<world::space_type> supplier{w.space};
    M::atomic<std::uint32_t> written{0};

    writer_beside_waiting_gup() { (void)supplier.register_range(w.third, w.pages(1)); }
    void actor(int who) {
        switch (who) {
            case 0: return taker.take(w.first);
            case 1: return write();
            default: return supply_when_written();
        }
    }
    void always() { w.observe(); }
    void finish() {
        (void)supplier.close(w.first);
        taker.finish();
        w.end();
    }

private:
    void write() {
        { auto const held = held_exclusive<world::lock_type>::acquire(w.space.lock()); }
        written.store(1, relaxed);  // a signal; it publishes nothing
        written.notify_all();
    }
    void supply_when_written() {
        (void)M::await(
            written, [](std::uint32_t done) { return done != 0; }, relaxed);
        (void)supplier.copy_with(w.third, w.pages(1), [](std::uint64_t, std::span<std::byte>) {});
    }
};

/// gup() cannot drop the lock, so a missing page is an error at once, and nobody waits for anybody.
struct keeping_gup_taker {
    static constexpr char const* name = "gup";
    static constexpr taker_traits traits{};
    static constexpr std::uint64_t pages = 1;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>& out) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        auto const answer = gup(w.space, me, held, w.pages(1), gup_flag::write, out);
        World::M::expect(held.holding() && answer.lock == lock_fate::kept, "gup keeps the lock");
        return answer;
    }
};
struct writing_meddler {
    static constexpr char const* name = "writer";
    static constexpr meddler_traits traits{.fate = fate_of_page::replaced,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        auto const held = held_exclusive<typename World::lock_type>::acquire(w.space.lock());
    }
};

inline void add_userfault_mutants(scenario_book& book) {
    using enum userfault_bug;
    using taker = gup_unlocked_taker<>;
    constexpr auto same = meddling::by_the_pager;
    constexpr auto once = serving::once;
    constexpr auto events = serving::events;
    constexpr auto copy = supply::copy;
    book.add_mutant<
        userfault_pair<taker, nobody_meddles, copy, same, once, rebuilt<no_second_look>::with>>(
        "pair.userfault_copy_once_against_nobody", "no_second_look",
        "the page comes before the event: nobody wakes");
    book.add_mutant<
        userfault_pair<taker, nobody_meddles, copy, same, once, rebuilt<copy_does_not_wake>::with>>(
        "pair.userfault_copy_once_against_nobody", "copy_does_not_wake",
        "the page is there, the sleeper sleeps");
    book.add_mutant<userfault_pair<taker, nobody_meddles, copy, same, once,
                                   rebuilt<wakes_before_the_copy>::with>>(
        "pair.userfault_copy_once_against_nobody", "wakes_before_the_copy",
        "the woken finds nothing, and waits again");
    book.add_mutant<userfault_pair<zero_for_dead_taker, killing_meddler, copy, same, once>>(
        "pair.userfault_copy_once_against_kill", "zero_for_a_dead_task",
        "0 pages and no error (5.7-rc)");
    book.add_mutant<userfault_pair<taker, closing_meddler, copy, same, once,
                                   rebuilt<close_does_not_wake>::with>>(
        "pair.userfault_copy_once_against_close", "close_does_not_wake",
        "the sleeper has no pager any more");
    book.add_mutant<
        userfault_pair<taker, closing_meddler, copy, same, once, rebuilt<close_wakes_first>::with>>(
        "pair.userfault_copy_once_against_close", "close_wakes_first",
        "a fault comes between waking and letting go");
    book.add_mutant<userfault_pair<taker, unregistering_meddler, copy, same, once,
                                   rebuilt<unregister_does_not_wake>::with>>(
        "pair.userfault_copy_once_against_unregister", "unregister_does_not_wake",
        "the sleeper has no pager any more");
    book.add_mutant<userfault_pair<reading_taker, nobody_meddles, copy, same, once,
                                   rebuilt<fills_after_installing>::with, config_with_bytes>>(
        "pair.userfault_read_once_against_nobody", "fills_after_installing",
        "the page is there before its contents are");
    book.add_mutant<userfault_pair<silent_relock_taker, nobody_meddles, copy, same, once>>(
        "pair.userfault_copy_once_against_nobody", "lock_taken_again_in_silence",
        "says that the lock was kept");
    book.add_mutant<userfault_pair<retry_loop_taker<loop_bug::retry_with_all_pages>,
                                   second_page_present, copy, same, once>>(
        "pair.userfault_loop_against_nobody_first_missing", "retry_with_all_pages",
        "the bug found in the review of the RFC");
    book.add_mutant<userfault_pair<retry_loop_taker<loop_bug::start_not_advanced>,
                                   first_page_present, copy, same, once>>(
        "pair.userfault_loop_against_nobody_second_missing", "start_not_advanced",
        "holds the first page twice");
    book.add_mutant<userfault_pair<retry_loop_taker<loop_bug::vma_kept, 1>, unmapping_meddler, copy,
                                   same, events>>(
        "pair.userfault_copy_against_unmap", "vma_kept_over_the_retry", "fills a vma that is gone");
    book.add_mutant<writer_beside_waiting_gup<rebuilt<sleeps_with_the_lock>::with>>(
        "pair.gup_locked_beside_writer", "sleeps_with_the_lock",
        "writer and pager wait for the sleeper");
}

/// Scenarios of the parts that the mutants are made of, with nothing left out; and of the lock.
inline void add_pager_pairs(scenario_book& book) {
    using loop = retry_loop_taker<loop_bug::none>;
    constexpr auto same = meddling::by_the_pager;
    constexpr auto once = serving::once;
    constexpr auto copy = supply::copy;
    book.add<userfault_pair<gup_unlocked_taker<>, closing_meddler, copy, same, once,
                            rebuilt<userfault_bug::none>::with>>(
        "pair.rebuilt_userfault_against_close",
        "a userfault made of the same parts, closed while gup waits");
    book.add<userfault_pair<loop, second_page_present, copy, same, once>>(
        "pair.userfault_loop_against_nobody_first_missing",
        "the RFC's loop, two pages, the first is missing");
    book.add<userfault_pair<loop, first_page_present, copy, same, once>>(
        "pair.userfault_loop_against_nobody_second_missing", "the same, the second is missing");
    book.add<userfault_pair<reading_taker, nobody_meddles, copy, same, once, usual_userfault,
                            config_with_bytes>>("pair.userfault_read_once_against_nobody",
                                                "what gup finds is what the pager has written");
    book.add<userfault_pair<gup_unlocked_taker<2>, first_page_present, copy, same, once>>(
        "pair.userfault_two_against_nobody_second_missing",
        "gup_unlocked of two pages, the second is missing");
    book.add<userfault_pair<gup_locked_taker<>, nobody_meddles, copy, same, once>>(
        "pair.userfault_locked_against_nobody", "gup_locked loses the lock to wait, and says so");
    book.add<userfault_pair<gup_fast_taker<>, nobody_meddles, copy, same, once>>(
        "pair.userfault_fast_against_nobody", "gup_fast falls back and waits");
    book.add<userfault_pair<keeping_gup_taker, writing_meddler, copy, same, once, usual_userfault,
                            pair_config<>>>(
        "pair.gup_against_writer",
        "gup keeps the lock: a missing page is refused at once, a writer goes on");
    book.add<writer_beside_waiting_gup<>>(
        "pair.gup_locked_beside_writer",
        "a writer gets the mm lock while gup_locked waits for a pager", reach::sampled);
}

}  // namespace mmhold_test
