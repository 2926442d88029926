// SPDX-License-Identifier: BSL-1.0
#pragma once

// Which mutant belongs to which pair.

#include "pair_meddler_mutants.hpp"
#include "pair_mutants.hpp"
#include "pair_userfault_mutants.hpp"

namespace mmhold_test {

/// Takers without a defence.
inline void add_taker_mutants(scenario_book& book) {
    using quick = pair_config<plain_mm_lock>;
    using no_ipi = pair_config<plain_mm_lock, impatient_domain>;
    book.add_mutant<pair<gup_fast_only_taker<1, other_parts<leaf_unchecked>>, unmapping_meddler>>(
        "pair.gup_fast_only_against_unmap", "leaf_not_rechecked",
        "takes the page on its first look");
    book.add_mutant<pair<gup_fast_taker<1, other_parts<leaf_unchecked>>, discarding_meddler>>(
        "pair.gup_fast_against_discard", "leaf_not_rechecked", "the same, found by discarding");
    book.add_mutant<
        pair<pin_fast_taker<1, other_parts<parent_unchecked>>, collapsing_meddler, no_ipi>>(
        "pair.pin_fast_against_collapse", "parent_not_rechecked_and_no_ipi",
        "trusts a table that was detached");
    book.add_mutant<
        pair<gup_fast_only_taker<1, other_parts<link_unchecked>>, table_freeing_meddler>>(
        "pair.gup_fast_only_against_table_free", "link_not_rechecked",
        "protects a table and does not look again");
    book.add_mutant<
        pair<gup_fast_only_taker<1, other_parts<link_unchecked>>, discarding_all_meddler>>(
        "pair.gup_fast_only_against_discard_all", "link_not_rechecked",
        "the same, found by PT_RECLAIM");
    book.add_mutant<pair<gup_fast_only_taker<1, other_parts<grabs_freed>>, unmapping_meddler>>(
        "pair.gup_fast_only_against_unmap", "grabs_a_freed_page",
        "adds a reference where there is none");
    book.add_mutant<pair<gup_fast_only_taker<1, other_parts<grabs_nothing>>, discarding_meddler>>(
        "pair.gup_fast_only_against_discard", "grabs_nothing",
        "believes that the entry keeps the page");
    book.add_mutant<pair<pin_fast_taker<1, other_parts<grabs_nothing>>, splitting_meddler>>(
        "pair.pin_fast_against_split", "grabs_nothing", "the same with a pin");
    book.add_mutant<
        pair<gup_fast_only_taker<1, other_parts<keeps_what_it_puts_back>>, mapping_over_meddler>>(
        "pair.gup_fast_only_against_map_over", "keeps_what_it_puts_back",
        "the recheck fails, the reference stays");
    book.add_mutant<
        two_takers<fault_taker<overwriting_fault>, fault_taker<overwriting_fault>, quick>>(
        "pair.fault_beside_fault", "entry_not_looked_at", "installs whatever is there");
    book.add_mutant<two_takers<fault_taker<wasteful_fault>, fault_taker<wasteful_fault>, quick>>(
        "pair.fault_beside_fault", "loser_keeps_its_frame", "came too late, and does not clean up");
    book.add_mutant<pair<unlocked_fault_taker, table_freeing_meddler>>(
        "pair.fault_against_table_free", "lock_given_up_before_install",
        "installs where there is no vma any more");
    book.add_mutant<pair<unlocked_fault_taker, protecting_meddler>>(
        "pair.fault_against_protect", "lock_given_up_before_install",
        "installs with rights that are gone");
    book.add_mutant<pair<wrong_sum_taker<sum_bug::error_hides_pages>, unmapping_second_meddler>>(
        "pair.gup_fast_two_against_unmap_second", "error_hides_pages",
        "the slow half's error, the fast half's leak");
    book.add_mutant<pair<wrong_sum_taker<sum_bug::pages_not_advanced>, discarding_second_meddler>>(
        "pair.gup_fast_two_against_discard_second", "pages_not_advanced",
        "the second page overwrites the first");
}

/// Meddlers without one.
inline void add_meddler_mutants(scenario_book& book) {
    using writers_share = pair_config<shared_by_writers>;
    book.add_mutant<pair<gup_fast_taker<>, releasing_first_meddler>>(
        "pair.gup_fast_against_discard", "released_before_cleared",
        "the page goes before its entry");
    book.add_mutant<pair<gup_unlocked_taker<>, releasing_before_flush_meddler>>(
        "pair.gup_unlocked_against_discard", "released_before_flush", "a TLB still knows the page");
    book.add_mutant<pair<gup_locked_taker<>, releasing_times_meddler<2>>>(
        "pair.gup_locked_against_discard", "released_twice", "one reference too many goes");
    book.add_mutant<pair<pin_fast_taker<>, releasing_times_meddler<0>>>(
        "pair.pin_fast_against_discard", "never_released",
        "nobody has the page, and it is not free");
    book.add_mutant<pair<gup_fast_taker<>, protecting_meddler, never_flushed>>(
        "pair.gup_fast_against_protect", "not_flushed", "a TLB lets the page be written");
    book.add_mutant<pair<gup_unlocked_taker<>, table_freeing_meddler, never_flushed>>(
        "pair.gup_unlocked_against_table_free", "not_flushed", "a TLB knows a page that is gone");
    book.add_mutant<pair<gup_locked_taker<>, protecting_only_the_tlb_meddler>>(
        "pair.gup_locked_against_protect", "entry_left_writable",
        "the vma is read-only, the entry is not");
    book.add_mutant<pair<pin_fast_taker<>, collapsing_blindly_meddler>>(
        "pair.pin_fast_against_collapse", "pins_not_looked_at",
        "copies a page that a device writes");
    book.add_mutant<pair<pin_fast_taker<>, collapsing_after_a_glance_meddler>>(
        "pair.pin_fast_against_collapse", "pins_looked_at_too_early",
        "asks before the table is out of sight");
    book.add_mutant<pair<gup_fast_taker<>, collapsing_after_a_glance_meddler>>(
        "pair.gup_fast_against_collapse", "references_looked_at_too_early",
        "the same with references");
    book.add_mutant<pair<fault_taker<>, collapsing_among_faults_meddler>>(
        "pair.fault_against_collapse", "lock_held_shared",
        "a fault fills the place of the detached table");
    book.add_mutant<pair<fault_taker<>, reclaiming_after_a_glance_meddler>>(
        "pair.fault_against_table_reclaim", "emptiness_not_rechecked",
        "takes a table that a fault has just filled");
    book.add_mutant<pair<gup_unlocked_taker<>, reclaiming_after_a_glance_meddler>>(
        "pair.gup_unlocked_against_table_reclaim", "emptiness_not_rechecked",
        "the same, found by gup");
    book.add_mutant<pair<gup_fast_only_taker<>, table_freeing_meddler, freed_at_once>>(
        "pair.gup_fast_only_against_table_free", "no_grace_period",
        "frees a table that is being walked");
    book.add_mutant<pair<pin_fast_taker<>, discarding_all_meddler, freed_at_once>>(
        "pair.pin_fast_against_discard_all", "no_grace_period", "the same by PT_RECLAIM");
    book.add_mutant<pair<gup_unlocked_taker<>, table_reclaiming_meddler, freed_at_once>>(
        "pair.gup_unlocked_against_table_reclaim", "no_grace_period",
        "the same under the shared lock");
    book.add_mutant<pair<gup_unlocked_taker<>, mapping_in_two_steps_meddler>>(
        "pair.gup_unlocked_against_map_over", "in_two_steps", "for a moment nothing is mapped");
    book.add_mutant<pair<gup_locked_taker<>, splitting_in_two_steps_meddler>>(
        "pair.gup_locked_against_split", "table_linked_before_filled", "a fault fills the hole");
    book.add_mutant<pair<fault_taker<>, mapping_meddler, writers_share>>(
        "pair.fault_against_map", "lock_held_shared", "changes the layout among readers");
    book.add_mutant<pair<fault_taker<>, table_freeing_meddler, writers_share>>(
        "pair.fault_against_table_free", "lock_held_shared", "munmap among faults");
    book.add_mutant<pair<gup_fast_taker<>, exiting_early_meddler>>(
        "pair.gup_fast_against_exit", "users_not_waited_for", "the root goes while it is walked");
    book.add_mutant<pair<gup_unlocked_taker<>, exiting_meddler, writers_share>>(
        "pair.gup_unlocked_against_exit", "lock_held_shared", "frees the tables among faults");
}

}  // namespace mmhold_test
