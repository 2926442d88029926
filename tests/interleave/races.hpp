// SPDX-License-Identifier: BSL-1.0
#pragma once

// The classical races of gup-semantics §6.2, all thirty-one, and which scenarios show them. Each
// scenario has mutants that lack the defence: `mmhold_explore --races` prints the table and fails if
// one is missing.

#include <mmhold/explore/scenario_book.hpp>

namespace mmhold_test {

inline void add_races_of_pages(mmhold::scenario_book& book) {
    book.add_race(1, "gup_fast walks a table that munmap frees: section against retirement",
                  {"race.01_table_freed", "reclaim.protect_and_retire"});
    book.add_race(2, "page freed between look and grab: no grab at count 0",
                  {"race.02_page_freed"});
    book.add_race(3, "page freed and allocated anew before the grab: second look at the entry",
                  {"gup.fast_against_unmap"});
    book.add_race(4, "page in another folio by now: second look at the folio",
                  {"race.04_other_folio"});
    book.add_race(5, "table detached by collapse: second look at the upper entry, broadcast",
                  {"gup.fast_against_hasty_collapse"});
    book.add_race(6, "folio split against grab: frozen count", {"race.06_folio_split"});
    book.add_race(7, "fork write-protects while gup_fast pins: write_protect_seq",
                  {"gup.pin_against_fork", "seq_count.marking", "fork.pin_fast"});
    book.add_race(8, "fork after a pin: early copy for the child",
                  {"race.08_fork_after_pin", "fork.pin_fast"});
    book.add_race(9, "pin for reading of a shared page: unshare first", {"race.09_read_pin"});
    book.add_race(10, "page with a reference reused in place: references decide",
                  {"race.10_reuse"});
    book.add_race(11, "Dirty COW: the wish to write is never dropped", {"race.11_dirty_cow"});
    book.add_race(12, "swap-out or migration against a pin: A1 - A4, B1 - B5",
                  {"race.12_swap_out", "migrate.pin_fast", "swap.pin_fast"});
    book.add_race(13, "KSM against a grab: clear, ask the walkers, count", {"race.13_merge"});
    book.add_race(14, "stale translation: flush before release",
                  {"race.14_stale_tlb", "fork.store", "migrate.store", "swap.store"});
}

inline void add_races_of_retries(mmhold::scenario_book& book) {
    book.add_race(15, "vma gone during the drop: start over from the lookup",
                  {"race.15_vma_over_drop"});
    book.add_race(16, "collected page discarded during the drop: allowed, it is held",
                  {"race.16_collected_pages"});
    book.add_race(17, "killed during the wait: killable waits", {"race.17_killed"});
    book.add_race(18, "page resolved between look and sleep: look again once queued",
                  {"race.18_resolved_early"});
    book.add_race(19, "userfault closed while gup retries: RETRY with the lock dropped",
                  {"race.19_closed"});
    book.add_race(20, "two faults on one entry: look again under the table's lock",
                  {"race.20_two_faults"});
    book.add_race(21, "truncation against a fault: folio lock, second look at the mapping",
                  {"race.21_truncation"});
}

inline void add_races_of_rules(mmhold::scenario_book& book) {
    book.add_race(22, "file page cleaned under a long-term pin: such pins are refused",
                  {"race.22_cleaned_under_pin"});
    book.add_race(23, "long-term pin of movable memory: refused", {"race.23_movable_memory"});
    book.add_race(24, "reference count overflow: refused near the limit",
                  {"race.24_count_overflow"});
    book.add_race(25, "shared table handed to another process: broadcast",
                  {"race.25_shared_table"});
    book.add_race(26, "secret page met by the fast walk: ask the page after the grab",
                  {"race.26_secret_page"});
    book.add_race(27, "key changed during gup_fast: accepted, the mutant shows it",
                  {"race.27_key_changed"});
    book.add_race(28, "stack growth: exclusive lock, second look", {"race.28_stack_growth"});
    book.add_race(29, "empty table given back against a fault: both locks, second look at the link",
                  {"race.29_empty_table"});
    book.add_race(30, "mremap against a slow walk: mm lock",
                  {"race.30_mover", "pair.gup_unlocked_against_remap"});
    book.add_race(31, "torn 64-bit entry: high before low, low read twice",
                  {"race.31_torn_entry", "race.31_changed_entry"});
}

/// All of them.
inline void add_races(mmhold::scenario_book& book) {
    add_races_of_pages(book);
    add_races_of_retries(book);
    add_races_of_rules(book);
}

/// Orders that no scenario can need as long as the model's heavy fence is a full fence, which the law
/// of machine.hpp does not promise.
inline void excuse_sites(mmhold::scenario_book& book) {
    using mmhold::weakening;
    book.excuse("seq_count.odd", weakening::off,
                "the heavy fence behind it is a full fence here and on every host so far; its law "
                "promises store-load order only, and readers need store-store");
    book.excuse(
        "seq_count.recheck", weakening::off,
        "the writer's heavy fence orders the reader's loads as well, here and on every host "
        "so far; the law of the pair promises store-load order only");
}

}  // namespace mmhold_test
