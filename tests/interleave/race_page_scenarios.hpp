// SPDX-License-Identifier: BSL-1.0
#pragma once

// The classical races (gup-semantics §6.2) about pages and tables that go away under a lockless
// walk: 1, 2, 4, 6, 21 – 26, 29.

#include <mmhold/lock/spin_lock.hpp>

#include "race_parts.hpp"

namespace mmhold_test {

using namespace mmhold;

/// Race 1: gup_fast walks a table that munmap frees.
template<Reclaimer Domain>
struct walk_against_table_free {
    using M = model_machine;
    using space_type = race_space<Domain>;
    static constexpr int actors = 2;
    space_type space;
    pfn page{space.map_fresh()};
    typename space_type::cpu_type walker{space.domain};
    typename space_type::cpu_type remover{space.domain};

    void actor(int who) {
        if (who == 1) {
            space.unmap(remover);
            return space.free_tables(remover);
        }
        auto const held = hold_fast<lockless_walker<space_type>>(space, walker, holding::reference,
                                                                 gup_flag::write);
        if (held) release_pages(space.frames(), *held, 1, holding::reference);
    }
    void finish() { M::expect(space.frames().statistics().free == 1, "the page came back once"); }
};

/// Race 2: the page is freed between the look at its entry and the grab.
template<class Pool>
struct grab_of_a_freed_page {
    using M = model_machine;
    using space_type = race_space<patient_domain, Pool>;
    static constexpr int actors = 2;
    space_type space;
    pfn page{space.map_fresh()};
    typename space_type::cpu_type walker{space.domain};
    typename space_type::cpu_type remover{space.domain};

    void actor(int who) {
        if (who == 1) return space.unmap(remover);
        auto const held = hold_fast<lockless_walker<space_type>>(space, walker, holding::reference,
                                                                 gup_flag::write);
        if (held) release_pages(space.frames(), *held, 1, holding::reference);
    }
    void finish() {
        M::expect(space.frames().statistics().free == 1, "the page came back once");
        M::expect(space.frames().generation(page) == 1, "the page was freed once");
    }
};

/// Race 4: the page becomes part of another folio between the look at its folio and the reference.
template<class Pool>
struct grab_of_a_tail {
    using M = model_machine;
    static constexpr int actors = 2;
    Pool frames{page_count{2}, frame_bytes::none, pfn{16}, pin_statistics::off};
    pfn folio{*frames.allocate(frame_kind::anonymous, 1)};

    void actor(int who) {
        if (who == 1) {
            frames.put(folio);
            auto const first = frames.allocate(frame_kind::page_cache);
            auto const second = frames.allocate(frame_kind::page_cache);
            if (second) frames.put(*second);
            if (first) frames.put(*first);
            return;
        }
        auto const tail = folio.plus(1);
        if (!frames.try_grab(tail, 1, holding::reference)) return;
        M::expect(frames.ref_count(tail) != 0, "the page that was asked for is held");
        frames.put(tail);
    }
    void finish() { M::expect(frames.statistics().free == 2, "every frame came back"); }
};

/// Race 6: a folio is split while a later page of it is grabbed.
template<class Pool>
struct split_under_a_grab {
    using M = model_machine;
    static constexpr int actors = 2;
    Pool frames{page_count{2}, frame_bytes::none, pfn{16}, pin_statistics::off};
    pfn folio{*frames.allocate(frame_kind::anonymous, 1)};
    bool split = false;
    bool held = false;

    void actor(int who) {
        if (who == 1) {
            split = frames.split_folio(folio).has_value();
        } else {
            held = frames.try_grab(folio.plus(1), 1, holding::reference);
        }
    }
    void finish() {
        auto const references =
            frames.ref_count(folio) + (split ? frames.ref_count(folio.plus(1)) : 0);
        M::expect(references == (split ? 2U : 1U) + (held ? 1U : 0U), "no reference is lost");
        M::expect(!held || frames.ref_count(folio.plus(1)) >= (split ? 2U : 1U),
                  "the page that was asked for is held");
    }
};

/// What truncation, or the fault that comes in between, leaves out.
enum class truncate_bug : std::uint8_t { none, mapping_not_rechecked, unmapped_before_the_lock };

/// Race 21: a page of a file is faulted in while the file lets go of it. The folio lock decides who
/// was first; the fault looks at the mapping again once it has it.
template<truncate_bug Bug>
struct fault_against_truncation {
    using M = model_machine;
    using space_type = race_space<>;
    static constexpr int actors = 2;
    space_type space;
    pfn page{*space.frames().allocate(frame_kind::page_cache)};
    M::atomic<std::uint64_t> cache{page.value};  // the file's page, 0: none
    spin_lock<M> folio_lock;
    space_type::cpu_type faulter{space.domain};
    space_type::cpu_type truncater{space.domain};

    fault_against_truncation() {
        M::name(&cache, "page cache");
        M::name(&folio_lock, "folio lock");
        space.frames().add_attributes(page, frame_attribute::shmem);
    }
    void actor(int who) { who == 0 ? fault() : truncate(); }
    void fault() {
        auto const found = cache.load(acquire("scenario.find"));
        if (found == 0 || !space.frames().try_grab(pfn{found}, 1, holding::reference)) return;
        spin_guard<M> const locked{folio_lock};
        auto const gone = space.frames().attributes(page).has(frame_attribute::truncated);
        auto const mapped =
            (Bug == truncate_bug::mapping_not_rechecked || !gone) &&
            space.table().map(faulter, space_type::address, page_entry::leaf_to(page, prot::r), 0);
        if (!mapped) space.frames().put(page);
    }
    void truncate() {
        if (Bug == truncate_bug::unmapped_before_the_lock) space.unmap(truncater);
        {
            spin_guard<M> const locked{folio_lock};
            space.frames().add_attributes(page, frame_attribute::truncated);
            if (Bug != truncate_bug::unmapped_before_the_lock) space.unmap(truncater);
            cache.store(0, relaxed);
        }
        space.frames().put(page);
    }
    void finish() {
        M::expect(space.frames().statistics().free == 1,
                  "no entry maps a page that its file let go");
    }
};

/// Race 22: a page of a file that tracks writes is pinned for ever, cleaned, and written by the
/// device after that. LONGTERM writes to such files are refused.
template<class Pool>
struct clean_under_a_longterm_pin {
    using M = model_machine;
    using space_type = race_space<patient_domain, Pool>;
    static constexpr int actors = 2;
    space_type space;
    pfn page{space.map_fresh(frame_kind::page_cache)};
    typename space_type::cpu_type pinner{space.domain};
    typename space_type::cpu_type cleaner{space.domain};
    std::optional<pfn> pinned{};
    bool clean = false;

    void actor(int who) {
        if (who == 0) {
            pinned = hold_fast<lockless_walker<space_type>>(
                space, pinner, holding::pin, gup_flags{gup_flag::write, gup_flag::longterm});
            return;
        }
        auto entry = space.table().lock_leaf(cleaner, space_type::address, 0, if_absent::fail);
        auto leaf = entry->clear();
        leaf.writable = false;
        entry->set(leaf);
        clean = true;
    }
    void finish() {
        M::expect(!pinned || !clean, "a device may write to a page that its file believes clean");
        if (pinned) space.frames().unpin(*pinned);
    }
};

/// Race 23: a page that must stay movable is pinned for ever.
template<class Pool>
struct longterm_pin_of_movable_memory {
    using M = model_machine;
    using space_type = race_space<patient_domain, Pool>;
    static constexpr int actors = 2;
    space_type space;
    pfn page{space.map_fresh()};
    typename space_type::cpu_type pinner{space.domain};
    typename space_type::cpu_type mover{space.domain};
    std::optional<pfn> pinned{};

    longterm_pin_of_movable_memory() {
        space.frames().add_attributes(page, frame_attribute::longterm_forbidden);
    }
    void actor(int who) {
        if (who == 0) {
            pinned = hold_fast<lockless_walker<space_type>>(
                space, pinner, holding::pin, gup_flags{gup_flag::write, gup_flag::longterm});
            return;
        }
        auto entry = space.table().lock_leaf(mover, space_type::address, 0, if_absent::fail);
        auto const leaf = entry->clear();
        auto const alone = space.frames().look_after_clear(page).references == 1;
        if (!alone) return entry->set(leaf);
        entry->unlock();
        space.frames().put(page);  // its contents are elsewhere now
    }
    void finish() {
        M::expect(!pinned, "memory that must stay movable is pinned for ever");
        if (pinned) space.frames().unpin(*pinned);
    }
};

/// Race 24: references are taken until the count overflows.
template<class Pool>
struct many_references {
    using M = model_machine;
    static constexpr int actors = 2;
    Pool frames{page_count{1}, frame_bytes::none, pfn{16}, pin_statistics::off};
    pfn page{*frames.allocate(frame_kind::anonymous)};
    bool held[2]{};

    many_references() { frames.get(page, detail::max_references - 2); }
    void actor(int who) { held[who] = frames.try_grab(page, 1, holding::reference); }
    void finish() {
        M::expect(frames.ref_count(page) <= detail::max_references, "the count became negative");
        M::expect(held[0] != held[1], "one more reference fits, not two");
    }
};

/// What an unsharing of a page table leaves out.
enum class unshare_bug : std::uint8_t { none, no_broadcast, broadcast_before_clear };

/// Race 25: a table that two processes share is handed to the other one, which then maps its own
/// pages in it. The walker is the old one, which does not look at the upper entry again; what keeps
/// it right is the broadcast (a CVE of 2025, §4.5).
template<unshare_bug Bug>
struct unshared_table {
    using M = model_machine;
    using space_type = race_space<>;
    static constexpr int actors = 2;
    space_type space{2};
    pfn ours{space.map_fresh()};
    pfn theirs{*space.frames().allocate(frame_kind::anonymous)};
    space_type::cpu_type walker{space.domain};
    space_type::cpu_type unsharer{space.domain};

    void actor(int who) {
        if (who == 1) return unshare();
        auto const held = hold_fast<lockless_walker<space_type, table_recheck::no>>(
            space, walker, holding::reference, gup_flag::write);
        if (!held) return;
        M::expect(*held == ours, "a page of another process was reached through a table it had");
        release_pages(space.frames(), *held, 1, holding::reference);
    }
    void unshare() {
        auto const root = space.table().root();
        auto& upper = space.table_store.entry(root, 0);
        auto const link = upper.load(relaxed);
        auto const table = space_type::format::decode(link, 1).target;
        auto& synchronizer = space.domain;
        if (Bug == unshare_bug::broadcast_before_clear) synchronizer.synchronize(unsharer.record());
        (void)upper.exchange(0, relaxed);
        if (Bug == unshare_bug::none) synchronizer.synchronize(unsharer.record());
        auto& entry = space.table_store.entry(table, 0);
        auto const old =
            entry.exchange(space_type::format::encode(page_entry::leaf_to(theirs, prot::rw), 0),
                           release("scenario.publish"));
        theirs_table_is_done(upper, entry, link, old);
    }
    void finish() {
        auto const root = space.table().root();
        space.table_store.entry(root, 0).store(saved_link, relaxed);
        auto const table = space_type::format::decode(saved_link, 1).target;
        space.table_store.entry(table, 0).store(saved_leaf, relaxed);
        space.frames().put(theirs);
    }

private:
    template<class Entry>
    void theirs_table_is_done(Entry&, Entry&, std::uint64_t link, std::uint64_t leaf) {
        saved_link = link;
        saved_leaf = leaf;
    }
    std::uint64_t saved_link{0};
    std::uint64_t saved_leaf{0};
};

/// When the page is said to be secret.
enum class secret_bug : std::uint8_t { none, marked_after_mapping };

/// Race 26: the lockless walk meets a page of memfd_secret, which only its vma could have told.
template<class Pool, secret_bug Bug = secret_bug::none>
struct secret_page {
    using M = model_machine;
    using space_type = race_space<patient_domain, Pool>;
    static constexpr int actors = 2;
    space_type space;
    typename space_type::cpu_type walker{space.domain};
    typename space_type::cpu_type faulter{space.domain};

    void actor(int who) {
        if (who == 0) {
            auto const held = hold_fast<lockless_walker<space_type>>(
                space, walker, holding::reference, gup_flag::write);
            M::expect(!held, "a secret page is held by gup");
            return;
        }
        auto const page = *space.frames().allocate(frame_kind::page_cache);
        auto const mark = [&] { space.frames().add_attributes(page, frame_attribute::secret); };
        if (Bug == secret_bug::none) mark();
        (void)space.table().map(faulter, space_type::address, page_entry::leaf_to(page, prot::rw),
                                0);
        if (Bug == secret_bug::marked_after_mapping) mark();
    }
};

/// How an empty table is taken away, or an entry put into one.
enum class table_bug : std::uint8_t { none, emptiness_not_locked, link_not_rechecked };

/// Race 29: an empty table is given back (PT_RECLAIM) while a fault puts a page into it.
template<table_bug Bug>
struct fault_into_a_table_that_goes {
    using M = model_machine;
    using space_type = race_space<>;
    using guard = table_guard<space_type::format, space_type::tables_type>;
    static constexpr int actors = 2;
    space_type space{2};
    pfn page{space.map_fresh()};
    pfn next{*space.frames().allocate(frame_kind::anonymous)};
    space_type::cpu_type faulter{space.domain};
    space_type::cpu_type remover{space.domain};
    bool installed = false;

    void actor(int who) { who == 0 ? fault() : discard(); }
    void fault() {
        auto const leaf = page_entry::leaf_to(next, prot::rw);
        if (Bug != table_bug::link_not_rechecked) {
            installed = space.table().map(faulter, second, leaf, 0).has_value();
            return;
        }
        irq_section inside{faulter};  // the table stays readable, but may be detached
        auto const link = space_type::format::decode(space.table().read(root(), second, 1), 1);
        if (!link.is_table()) return;
        inside.protect(0, link.target.value);
        auto const again = space_type::format::decode(space.table().read(root(), second, 1), 1);
        if (again.target != link.target) return;
        guard table{space.table_store, link.target, 0};
        installed = table.install(1, leaf);
    }
    void discard() {
        space.unmap(remover);
        if (Bug != table_bug::emptiness_not_locked) {
            (void)space.table().reclaim_empty(remover, space_type::address);
            return;
        }
        guard parent{space.table_store, root(), 1};
        auto const table = parent.read(0).target;
        for (unsigned index = 0; index < space_type::format::entries_per_table; ++index) {
            if (space.table().read_entry(table, index) != 0) return;
        }
        (void)parent.clear(0);
        parent.unlock();
        space.table_store.retire(remover, table);
    }
    void finish() {
        auto const entry = [this] {
            space_type::cpu_type last{space.domain};
            auto const leaf = space.table().lock_leaf(last, second, 0, if_absent::fail);
            return leaf ? leaf->read() : page_entry{};
        }();
        M::expect(!installed || entry.target == next, "a page was put into a table that is gone");
        if (!installed) space.frames().put(next);
    }

private:
    static constexpr virt_addr second{page_size};
    pfn root() { return space.table().root(); }
};

inline void add_race_grab_scenarios(scenario_book& book) {
    book.add<walk_against_table_free<patient_domain>>("race.01_table_freed",
                                                      "gup_fast walks a table that munmap frees");
    book.add_mutant<walk_against_table_free<graceless_domain>>(
        "race.01_table_freed", "no_grace_period", "frees the table at once");
    book.add<grab_of_a_freed_page<honest_pool>>("race.02_page_freed",
                                                "the page goes between the look and the grab");
    book.add_mutant<grab_of_a_freed_page<reviving_pool>>("race.02_page_freed", "grab_of_nothing",
                                                         "adds a reference where there is none");
    book.add<grab_of_a_tail<honest_pool>>("race.04_other_folio", "the page changes its folio");
    book.add_mutant<grab_of_a_tail<trusting_pool>>("race.04_other_folio", "folio_not_rechecked",
                                                   "does not look at the folio again");
    book.add<split_under_a_grab<honest_pool>>("race.06_folio_split", "split against grab");
    book.add_mutant<split_under_a_grab<unfrozen_pool>>("race.06_folio_split", "not_frozen",
                                                       "splits without freezing the count");
    book.add<many_references<honest_pool>>("race.24_count_overflow",
                                           "two references, room for one");
    book.add_mutant<many_references<reviving_pool>>("race.24_count_overflow", "no_limit",
                                                    "adds references without a limit");
}

inline void add_race_rule_scenarios(scenario_book& book) {
    using enum truncate_bug;
    book.add<fault_against_truncation<none>>("race.21_truncation",
                                             "a file lets go of a page that is faulted in");
    book.add_mutant<fault_against_truncation<mapping_not_rechecked>>(
        "race.21_truncation", "mapping_not_rechecked", "does not look at the mapping again");
    book.add_mutant<fault_against_truncation<unmapped_before_the_lock>>(
        "race.21_truncation", "unmapped_before_the_lock", "unmaps before it locks the folio");
    book.add<clean_under_a_longterm_pin<honest_pool>>(
        "race.22_cleaned_under_pin", "LONGTERM writes to files that track writes are refused");
    book.add_mutant<clean_under_a_longterm_pin<lying_pool<frame_attribute::shmem>>>(
        "race.22_cleaned_under_pin", "file_taken_for_shmem", "pins a page of a file for ever");
    book.add<longterm_pin_of_movable_memory<honest_pool>>(
        "race.23_movable_memory", "LONGTERM pins of movable memory are refused");
    book.add_mutant<longterm_pin_of_movable_memory<lenient_pool>>(
        "race.23_movable_memory", "rule_forgotten", "pins whatever it finds");
    book.add<secret_page<honest_pool>>("race.26_secret_page", "memfd_secret against the fast walk");
    book.add_mutant<secret_page<lying_pool<>>>("race.26_secret_page", "page_not_asked",
                                               "does not ask the page whether it is secret");
    book.add_mutant<secret_page<honest_pool, secret_bug::marked_after_mapping>>(
        "race.26_secret_page", "marked_after_mapping", "maps the page before it is marked");
}

inline void add_race_table_scenarios(scenario_book& book) {
    book.add<unshared_table<unshare_bug::none>>("race.25_shared_table",
                                                "a shared table goes to the other process");
    book.add_mutant<unshared_table<unshare_bug::no_broadcast>>(
        "race.25_shared_table", "no_broadcast", "does not wait for walkers");
    book.add_mutant<unshared_table<unshare_bug::broadcast_before_clear>>(
        "race.25_shared_table", "broadcast_before_clear", "waits before it clears the entry");
    book.add<fault_into_a_table_that_goes<table_bug::none>>(
        "race.29_empty_table", "an empty table goes while a fault wants it", reach::tso_only);
    book.add_mutant<fault_into_a_table_that_goes<table_bug::emptiness_not_locked>>(
        "race.29_empty_table", "emptiness_not_locked",
        "looks for entries without the table's lock");
    book.add_mutant<fault_into_a_table_that_goes<table_bug::link_not_rechecked>>(
        "race.29_empty_table", "link_not_rechecked", "locks a table that may be detached");
}

inline void add_race_page_scenarios(scenario_book& book) {
    add_race_grab_scenarios(book);
    add_race_rule_scenarios(book);
    add_race_table_scenarios(book);
}

}  // namespace mmhold_test
