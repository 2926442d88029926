// SPDX-License-Identifier: BSL-1.0
#pragma once

// The classical races (gup-semantics §6.2) about pages that stop being one process's own: 7 – 10,
// 12, 13. Fork, copy-on-write, swap-out and KSM are written out here from the parts they are made
// of, so that each step can be left out.

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>

#include "race_parts.hpp"
#include "weak_machine.hpp"

namespace mmhold_test {

using namespace mmhold;

/// How a writer finds out that nobody else uses a page, so that it may go on in place (§4.3).
enum class reuse_test : std::uint8_t { references, mappings };

/// A process with one page and an mm lock, and a child that fork shares the page with.
template<class Pool = honest_pool>
struct forking_process {
    using M = model_machine;
    using space_type = race_space<patient_domain, Pool>;
    using cpu_type = typename space_type::cpu_type;
    space_type space{3};
    rw_lock<M> mm_lock;
    pfn page{space.map_fresh()};
    std::optional<pfn> child{};  // what the child has mapped
    cpu_type first{space.domain};
    cpu_type second{space.domain};

    forking_process() {
        M::name(&mm_lock, "mm lock");
        space.frames().add_mappings(page);
    }
    auto lock_entry(cpu_type& me) {
        return space.table().lock_leaf(me, space_type::address, 0, if_absent::fail);
    }
    /// The page is mapped by parent and child, read-only, and nobody's own.
    void share() {
        auto entry = lock_entry(first);
        auto leaf = entry->clear();
        leaf.writable = false;
        entry->set(leaf);
        space.frames().clear_exclusive(page);
        space.frames().get(page);
        space.frames().add_mappings(page);
        child = page;
    }
    bool alone(pfn which, reuse_test how) {
        return how == reuse_test::references ? space.frames().ref_count(which) == 1
                                             : space.frames().map_count(which) == 1;
    }
    /// A store of the process (do_wp_page). Answers the page that it goes to.
    pfn write(cpu_type& me, reuse_test how = reuse_test::references) {
        auto const held = held_shared<rw_lock<M>>::acquire(mm_lock);
        auto entry = lock_entry(me);
        auto leaf = entry->read();
        if (leaf.writable) return leaf.target;
        auto& frames = space.frames();
        honest_pool const& asked = frames;
        if (!asked.exclusive(leaf.target) && !alone(leaf.target, how)) {
            auto const old = leaf.target;
            leaf.target = *frames.allocate(frame_kind::anonymous);
            frames.add_mappings(leaf.target);
            (void)entry->clear();
            frames.remove_mappings(old);
            frames.put(old);
        }
        frames.set_exclusive(leaf.target);
        leaf.writable = true;
        entry->set(leaf);
        return leaf.target;
    }
    pfn mapped() { return lock_entry(first)->read().target; }
    void finish() {
        if (child) space.frames().remove_mappings(*child), space.frames().put(*child);
        space.frames().remove_mappings(mapped());
    }
};

/// What fork leaves out.
enum class fork_bug : std::uint8_t { none, no_early_copy, looks_before_the_sequence_is_odd };

/// Races 7 and 8: a page is pinned for a device's writes, then the process forks and writes. The
/// device and the process still see one page: fork copies a pinned page for the child at once, and
/// a pin that fork has not seen is undone.
template<fork_bug Bug>
struct pin_fork_write : forking_process<> {
    static constexpr int actors = 2;
    std::optional<pfn> pinned{};

    void actor(int who) {
        if (who == 1) return fork();
        pinned =
            hold_fast<lockless_walker<space_type>>(space, first, holding::pin, gup_flag::write);
        (void)write(first);
    }
    void fork() {
        auto const held = held_exclusive<rw_lock<M>>::acquire(mm_lock);
        auto& frames = space.frames();
        auto seen_before = frames.maybe_pinned(page);
        space.write_protect_seq().begin_write();
        {
            auto entry = lock_entry(second);
            auto leaf = entry->read();
            auto const seen = Bug == fork_bug::looks_before_the_sequence_is_odd
                                  ? seen_before
                                  : frames.maybe_pinned(leaf.target);
            if (seen && Bug != fork_bug::no_early_copy) {
                child = *frames.allocate(frame_kind::anonymous);
            } else {
                leaf.writable = false;
                frames.clear_exclusive(leaf.target);
                frames.get(leaf.target);
                entry->set(leaf);
                child = leaf.target;
            }
            frames.add_mappings(*child);
        }
        space.write_protect_seq().end_write();
    }
    void finish() {
        M::expect(!pinned || mapped() == *pinned, "the process writes beside the device");
        if (pinned) space.frames().unpin(*pinned);
        forking_process::finish();
    }
};

/// What a pin for reading leaves out.
enum class unshare_before_pin : std::uint8_t { yes, no };

/// Race 9: a page that is shared by copy-on-write is pinned for reading, and its owner writes. The
/// fast walk declines what is not exclusive; the slow path unshares before it pins.
template<unshare_before_pin Unshare, class Pool = honest_pool>
struct read_pin_of_a_shared_page : forking_process<Pool> {
    using base = forking_process<Pool>;
    using M = model_machine;
    static constexpr int actors = 2;
    std::optional<pfn> pinned{};

    read_pin_of_a_shared_page() { base::share(); }
    void actor(int who) {
        if (who == 1) {
            (void)base::write(base::second);
            return;
        }
        pinned = hold_fast<lockless_walker<typename base::space_type>>(base::space, base::first,
                                                                       holding::pin, gup_flags{});
        if (!pinned) pinned = pin_slowly();
    }
    std::optional<pfn> pin_slowly() {
        if (Unshare == unshare_before_pin::yes) (void)base::write(base::first);
        auto const held = held_shared<rw_lock<M>>::acquire(base::mm_lock);
        auto entry = base::lock_entry(base::first);
        auto const leaf = entry->read();
        if (!base::space.frames().try_grab(leaf.target, 1, holding::pin)) return std::nullopt;
        return leaf.target;
    }
    void finish() {
        M::expect(!pinned || base::mapped() == *pinned,
                  "the device reads what nobody writes any more");
        if (pinned) base::space.frames().unpin(*pinned);
        base::finish();
    }
};

/// Race 10 (CVE-2020-29374): the child takes a reference by gup and unmaps; the parent must not go
/// on in place, or the child reads what the parent writes.
template<reuse_test How>
struct reuse_of_a_referenced_page : forking_process<> {
    static constexpr int actors = 2;
    M::plain<int> contents{0};

    reuse_of_a_referenced_page() {
        M::name(&contents, "contents");
        share();
    }
    void actor(int who) {
        if (who == 1) {
            if (write(second, How) == page) contents.set(1);
            return;
        }
        auto& frames = space.frames();
        frames.get(page);  // vmsplice
        child.reset();     // munmap
        frames.remove_mappings(page);
        frames.put(page);
        M::expect(contents.get() == 0, "the child reads the parent's secret");
        frames.put(page);
    }
};

/// What one of the two leaves out of the share protocol (§6.1).
enum class share_bug : std::uint8_t {
    none,
    counted_before_clear,
    pinned_after_recheck,
    exclusive_asked_before_the_pin,
};

/// Race 12: swap-out or migration against a pin. A1 clear, A2 look at pins, A3 not exclusive, A4
/// install; B1 read, B3 pin, B4 read again, B5 exclusive?
template<share_bug Bug, Machine M = model_machine>
struct swap_out_against_pin {
    static constexpr int actors = 2;
    static constexpr std::uint64_t none = 0;
    static constexpr std::uint64_t present = 1;
    static constexpr std::uint64_t swapped = 2;
    frame_pool<M> frames{page_count{1}, frame_bytes::none, pfn{16}, pin_statistics::off};
    pfn page{*frames.allocate(frame_kind::anonymous)};
    typename M::template atomic<std::uint64_t> entry{present};
    bool pinned = false;
    bool shared = false;

    swap_out_against_pin() {
        M::name(&entry, "pte");
        frames.set_exclusive(page);
    }
    void actor(int who) { who == 0 ? pin() : swap_out(); }
    void pin() {
        auto const seen = entry.load(relaxed);
        if (seen != present) return;
        auto own = frames.exclusive(page);
        if constexpr (Bug == share_bug::pinned_after_recheck) {
            auto const same = entry.load(relaxed) == seen;
            pinned = same && frames.exclusive(page) && frames.try_grab(page, 1, holding::pin);
            return;
        }
        if (!frames.try_grab(page, 1, holding::pin)) return;
        auto const same = entry.load(relaxed) == seen;
        if (Bug != share_bug::exclusive_asked_before_the_pin) own = frames.exclusive(page);
        pinned = (same || Bug == share_bug::exclusive_asked_before_the_pin) && own;
        if (!pinned) frames.unpin(page);
    }
    void swap_out() {
        auto const before = frames.maybe_pinned(page);
        auto const old = entry.exchange(none, relaxed);
        if constexpr (Bug == share_bug::counted_before_clear) {
            shared = !before;
            if (shared) frames.clear_exclusive(page);
        } else {
            shared = frames.try_share(page);
        }
        entry.store(shared ? swapped : old, release("scenario.share_set"));
    }
    void finish() {
        M::expect(!(pinned && shared), "a pinned page was swapped out");
        M::expect(frames.exclusive(page) == !shared, "exclusive exactly if it was not shared");
    }
};

/// When KSM counts references.
enum class merge_bug : std::uint8_t { none, counted_before_clear, not_counted, walkers_not_asked };

/// Race 13: KSM replaces a page by an equal one while a device gets hold of it (O_DIRECT: a plain
/// reference is enough to write). A reference, unlike a pin, is taken without a barrier, so KSM asks
/// whether somebody is walking before it counts – the flush of Linux, which is a broadcast, does the
/// same – and leaves the page alone if so.
template<merge_bug Bug>
struct merge_against_grab {
    using M = model_machine;
    using space_type = race_space<>;
    static constexpr int actors = 2;
    space_type space{2};
    pfn page{space.map_fresh()};
    pfn equal{*space.frames().allocate(frame_kind::anonymous)};
    space_type::cpu_type walker{space.domain};
    space_type::cpu_type merger{space.domain};
    std::optional<pfn> held{};
    bool merged = false;

    void actor(int who) {
        if (who == 1) return merge();
        held = hold_fast<lockless_walker<space_type>>(space, walker, holding::reference,
                                                      gup_flag::write);
    }
    void merge() {
        auto entry = space.table().lock_leaf(merger, space_type::address, 0, if_absent::fail);
        auto const early = space.frames().ref_count(page);
        auto const old = entry->clear();
        auto const nobody_walks =
            Bug == merge_bug::walkers_not_asked || space.domain.try_synchronize(merger.record());
        auto const late = space.frames().look_after_clear(page).references;
        auto const counted = Bug == merge_bug::counted_before_clear ? early : late;
        merged = nobody_walks && (Bug == merge_bug::not_counted || counted == 1);
        entry->set(merged ? page_entry::leaf_to(equal, prot::r) : old);
        entry->unlock();
        space.frames().put(merged ? page : equal);
    }
    void finish() {
        M::expect(!held || !merged, "what the device writes is lost: its page was merged away");
        if (held) space.frames().put(*held);
    }
};

inline void add_race_copy_scenarios(scenario_book& book) {
    book.add<pin_fork_write<fork_bug::none>>(
        "race.08_fork_after_pin", "pin, fork and write: one page for device and process");
    book.add_mutant<pin_fork_write<fork_bug::no_early_copy>>(
        "race.08_fork_after_pin", "no_early_copy", "shares a page that is pinned");
    book.add_mutant<pin_fork_write<fork_bug::looks_before_the_sequence_is_odd>>(
        "race.08_fork_after_pin", "looks_before_odd",
        "looks for pins before readers are turned away");
    book.add<read_pin_of_a_shared_page<unshare_before_pin::yes>>(
        "race.09_read_pin", "a pin for reading unshares first");
    book.add_mutant<read_pin_of_a_shared_page<unshare_before_pin::no>>(
        "race.09_read_pin", "slow_pin_not_unshared", "the slow path pins a shared page");
    book.add_mutant<read_pin_of_a_shared_page<unshare_before_pin::yes, credulous_pool>>(
        "race.09_read_pin", "exclusive_taken_for_granted", "believes every page to be exclusive");
    book.add<reuse_of_a_referenced_page<reuse_test::references>>(
        "race.10_reuse", "a page with another reference is copied");
    book.add_mutant<reuse_of_a_referenced_page<reuse_test::mappings>>(
        "race.10_reuse", "mappings_counted", "counts mappings instead of references");
}

inline void add_race_fork_scenarios(scenario_book& book) {
    add_race_copy_scenarios(book);
    using enum share_bug;
    book.add<swap_out_against_pin<none>>("race.12_swap_out", "A1 - A4 against B1 - B5");
    book.add_mutant<swap_out_against_pin<counted_before_clear>>(
        "race.12_swap_out", "counted_before_clear", "looks at pins before it clears the entry");
    book.add_mutant<swap_out_against_pin<pinned_after_recheck>>(
        "race.12_swap_out", "pinned_after_recheck", "pins after it looked at the entry again");
    book.add_mutant<swap_out_against_pin<exclusive_asked_before_the_pin>>(
        "race.12_swap_out", "exclusive_asked_early", "asks before the pin whether it is exclusive");
    book.add_mutant<swap_out_against_pin<none, machine_without<"frame.pin_barrier">>>(
        "race.12_swap_out", "no_pin_barrier", "no barrier between pin and second look");
    book.add_mutant<swap_out_against_pin<none, machine_without<"frame.look_barrier">>>(
        "race.12_swap_out", "no_look_barrier", "no barrier between clear and look");
    book.add<merge_against_grab<merge_bug::none>>("race.13_merge", "KSM against O_DIRECT");
    book.add_mutant<merge_against_grab<merge_bug::counted_before_clear>>(
        "race.13_merge", "counted_before_clear", "counts references before it clears the entry");
    book.add_mutant<merge_against_grab<merge_bug::walkers_not_asked>>(
        "race.13_merge", "walkers_not_asked", "counts while somebody may be walking");
    book.add_mutant<merge_against_grab<merge_bug::not_counted>>("race.13_merge", "not_counted",
                                                                "does not count references");
}

}  // namespace mmhold_test
