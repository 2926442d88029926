// SPDX-License-Identifier: BSL-1.0
#pragma once

// Entries that stand for no page, or for one that must fault first, against those who want the page:
// guards (MADV_GUARD_INSTALL, _REMOVE), the poison of a userfault, NUMA hints. What must hold beside
// what pairs promise: once a guard stands, nothing is mapped there until it is removed; who waits for
// a page that is poisoned is told so; a page that was hinted is the same page.

#include <mmhold/callers/populate.hpp>
#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/space/guard.hpp>
#include <mmhold/space/numa_hints.hpp>
#include <mmhold/space/unmapped_pages.hpp>

#include "pair_mutants.hpp"
#include "pair_scenarios.hpp"
#include <array>
#include <cstdint>

namespace mmhold_test {

/// MADV_POPULATE_WRITE of the page: a fault of its own kind, which holds nothing afterwards.
struct populate_taker {
    static constexpr char const* name = "populate";
    static constexpr taker_traits traits{
        .how = holding::none, .may_answer_nothing = true, .starts_without_page = true};
    static constexpr std::uint64_t pages = 1;
    template<class World>
    static gup_result take(World& w, typename World::cpu_type& me, gup_pages<1>&) {
        auto const done = madvise_populate(w.space, me, {w.place, page_size}, access::write);
        return {0, done ? gup_stop::complete : gup_stop::error, done.error(), lock_fate::kept};
    }
};

// ---- guards
// -------------------------------------------------------------------------------------------

/// MADV_GUARD_INSTALL of the page, or where none is yet.
struct guarding_meddler {
    static constexpr char const* name = "guard";
    static constexpr meddler_traits traits{.fate = fate_of_page::removed,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        World::M::expect(guard_install(w.second, w.space, w.pages(1)).has_value(),
                         "a page can be guarded");
        judge(w);
        w.live_again();
    }
    template<class World>
    static void judge(World& w) {
        World::M::expect(!w.translate(0), "a page is mapped where a guard was put");
        World::M::expect(!w.tlb.cached, "a TLB knows a page that is guarded");
    }
};
/// MADV_GUARD_REMOVE of a guard.
struct unguarding_meddler {
    static constexpr char const* name = "unguard";
    static constexpr meddler_traits traits{.start = {.what = beginning::present::guard},
                                           .fate = fate_of_page::replaced,
                                           .refusal = errc::bad_address};
    template<class World>
    static void act(World& w) {
        (void)guard_remove(w.second, w.space, w.pages(1));
    }
};

/// What an installer does wrong.
enum class guard_bug : std::uint8_t {
    not_tried_again,  ///< is content when a fault was faster
    put_over,         ///< puts the guard over what a fault has mapped
};
template<guard_bug Bug>
struct wrongly_guarding_meddler : guarding_meddler {
    template<class World>
    static void act(World& w) {
        {
            auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
            unmapped_pages<typename World::space_type> gone{w.space, w.second, empty_tables::stay};
            (void)w.space.table().unmap(w.second, w.pages(1), gone, w.space.flush());
            auto entry = w.space.table().lock_leaf(w.second, w.place, 0, if_absent::create);
            if (entry && (Bug == guard_bug::put_over || entry->read().none()))
                entry->set(guard_entry());
        }
        guarding_meddler::judge(w);
    }
};
/// Looks whether a guard stands there, lets the table's lock go, and clears the entry.
struct unguarding_after_a_glance_meddler : unguarding_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        for (int round = 0; round < 2; ++round) {  // the second is what another remover does
            auto entry = w.space.table().lock_leaf(w.second, w.place, 0, if_absent::fail);
            if (entry) (void)entry->clear();
        }
    }
};

// ---- hints
// --------------------------------------------------------------------------------------------

/// NUMA balancing makes the page inaccessible for a moment.
struct hinting_meddler {
    static constexpr char const* name = "numa_hint";
    static constexpr meddler_traits traits{.fate = fate_of_page::hinted};
    template<class World>
    static void act(World& w) {
        auto const marked = mark_numa_hints(w.second, w.space, w.pages(1));
        auto const knows = w.tlb.cached && w.tlb.cached->writable;
        World::M::expect(!marked || *marked == 0 || !knows, "a TLB overlooks the hint");
    }
};
/// Takes the entry out and puts the hint in later, as if nobody could fault in between.
struct hinting_in_two_steps_meddler : hinting_meddler {
    template<class World>
    static void act(World& w) {
        auto const held = held_shared<typename World::lock_type>::acquire(w.space.lock());
        page_entry leaf;
        {
            auto entry = w.space.table().lock_leaf(w.second, w.place, 0, if_absent::fail);
            if (!entry || !entry->read().is_leaf()) return;
            leaf = entry->clear();
            w.space.flush()(w.pages(1));
        }
        leaf.protnone = true;
        leaf.user = leaf.writable = false;
        auto entry = w.space.table().lock_leaf(w.second, w.place, 0, if_absent::fail);
        if (entry) entry->set(leaf);
    }
};

// ---- poison
// -------------------------------------------------------------------------------------------

/// A process that waits for a pager, which says that the page is lost.
struct poisoned_world {
    using M = model_machine;
    using world = pair_world<pair_config<idle_mm_lock>>;
    world w{{.what = beginning::present::table}};
    userfault<world::space_type> pager{w.space};

    poisoned_world() { (void)pager.register_range(w.third, w.pages(1)); }
    poisoned_world(poisoned_world const&) = delete;
    poisoned_world& operator=(poisoned_world const&) = delete;
    ~poisoned_world() = default;

    page_entry entry() {
        auto const found = w.space.table().lock_leaf(w.third, w.place, 0, if_absent::fail);
        return found ? found->read() : page_entry{};
    }
    void finish() {
        (void)pager.close(w.third);
        w.end();
    }
};

/// gup waits for a page that its pager poisons: it is woken, and told.
template<userfault_wake Wake = userfault_wake::now>
struct poisoned_while_waited_for : poisoned_world {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 1) {
            M::expect(pager.poison(w.second, w.pages(1), Wake).complete(), "the page is poisoned");
            return;
        }
        std::array<pfn, 1> out{};
        auto const got = gup_unlocked(w.space, w.first, w.pages(1), gup_flag::write, out);
        auto const told = got.error == errc::hardware_poison || got.error == errc::bad_address;
        M::expect(got.pages == 0 && told, "who waits for a poisoned page is told so");
    }
};

/// How the pager's poison gets into the page table.
enum class poison_bug : std::uint8_t { none, put_over };

/// A guard against poison: whoever comes second, the guard stays, for it says more.
template<poison_bug Bug = poison_bug::none>
struct guarded_and_poisoned : poisoned_world {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 0) {
            M::expect(guard_install(w.first, w.space, w.pages(1)).has_value(), "it is guarded");
        } else if (Bug == poison_bug::none) {
            (void)pager.poison(w.second, w.pages(1));
        } else {
            auto entry = w.space.table().lock_leaf(w.second, w.place, 0, if_absent::create);
            if (entry) entry->set(poisoned_entry());
        }
    }
    void finish() {
        M::expect(is_guard(entry()), "the guard stays");
        poisoned_world::finish();
    }
};

// ---- the book
// -----------------------------------------------------------------------------------------

inline void add_guard_scenarios(scenario_book& book) {
    using enum guard_bug;
    using idle = pair_config<idle_mm_lock>;
    using removals = type_list<unguarding_meddler>;
    pair_row<gup_fast_taker<>>::add(book, removals{});
    pair_row<gup_unlocked_taker<>>::add(book, removals{});
    pair_row<fault_taker<>>::add(book, removals{});
    pair_row<populate_taker>::add(book, removals{});
    book.add<pair<gup_fast_only_taker<>, guarding_meddler>>(
        "pair.gup_fast_only_against_guard", "gup_fast_only of a page; meddler: guard");
    book.add<pair<fault_taker<>, guarding_meddler, idle>>(
        "pair.fault_against_guard", "fault of a page; meddler: guard", reach::tso_only);
    // Sampled: it has a try for every try of the installer.
    book.add<pair<populate_taker, guarding_meddler, idle>>(
        "pair.populate_against_guard", "populate of a page; meddler: guard", reach::sampled);
    book.add_mutant<pair<fault_taker<>, wrongly_guarding_meddler<not_tried_again>>>(
        "pair.fault_against_guard", "not_tried_again", "a fault was faster, and there is no guard");
    book.add_mutant<pair<fault_taker<>, wrongly_guarding_meddler<put_over>>>(
        "pair.fault_against_guard", "put_over", "the page of a fault that was faster is lost");
    book.add_mutant<pair<populate_taker, wrongly_guarding_meddler<not_tried_again>>>(
        "pair.populate_against_guard", "not_tried_again", "the same, found by MADV_POPULATE_WRITE");
    book.add_mutant<pair<gup_fast_only_taker<>, guarding_meddler, never_flushed>>(
        "pair.gup_fast_only_against_guard", "not_flushed", "a TLB still knows the page");
    book.add_mutant<pair<gup_fast_only_taker<1, other_parts<leaf_unchecked>>, guarding_meddler>>(
        "pair.gup_fast_only_against_guard", "leaf_not_rechecked",
        "takes the page on its first look");
    book.add_mutant<pair<fault_taker<>, unguarding_after_a_glance_meddler>>(
        "pair.fault_against_unguard", "guard_not_looked_for",
        "clears the page that came when the guard was gone");
}

inline void add_hint_scenarios(scenario_book& book) {
    using hints = type_list<hinting_meddler>;
    pair_row<gup_fast_taker<>>::add(book, hints{});
    pair_row<pin_fast_taker<>>::add(book, hints{});
    pair_row<gup_unlocked_taker<>>::add(book, hints{});
    book.add_mutant<pair<gup_fast_taker<>, hinting_meddler, never_flushed>>(
        "pair.gup_fast_against_numa_hint", "not_flushed", "nobody is told of the hint");
    book.add_mutant<pair<gup_unlocked_taker<>, hinting_in_two_steps_meddler>>(
        "pair.gup_unlocked_against_numa_hint", "in_two_steps", "a fault fills the hole");
}

inline void add_poison_scenarios(scenario_book& book) {
    book.add<poisoned_while_waited_for<>>("userfault.poison_against_gup",
                                          "gup waits for a page that is poisoned", reach::tso_only);
    book.add_mutant<poisoned_while_waited_for<userfault_wake::later>>(
        "userfault.poison_against_gup", "nobody_woken", "poisons and wakes nobody");
    book.add<guarded_and_poisoned<>>("userfault.poison_against_guard",
                                     "a guard and poison at one place");
    book.add_mutant<guarded_and_poisoned<poison_bug::put_over>>(
        "userfault.poison_against_guard", "put_over", "poisons whatever is there");
}

inline void add_marker_scenarios(scenario_book& book) {
    add_guard_scenarios(book);
    add_hint_scenarios(book);
    add_poison_scenarios(book);
}

}  // namespace mmhold_test
