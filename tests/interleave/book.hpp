// SPDX-License-Identifier: BSL-1.0
#pragma once

// The library's scenario book. Each part is a source file of its own, so that the parts compile side
// by side: what a scenario costs is its templates.

#include <mmhold/explore/scenario_book.hpp>

namespace mmhold_test {

void add_protocol_book(mmhold::scenario_book& book);     // tasks, locks, queues, reclaimers
void add_page_book(mmhold::scenario_book& book);         // frames, entries, gup_fast on tables alone
void add_race_book(mmhold::scenario_book& book);         // gup-semantics §6.2, pages and entries
void add_fault_race_book(mmhold::scenario_book& book);   // the same, faults, retries and pagers
void add_fork_book(mmhold::scenario_book& book);         // fork, migration, swapping out
void add_file_book(mmhold::scenario_book& book);         // files and shared memory
void add_remap_book(mmhold::scenario_book& book);        // mremap
void add_large_book(mmhold::scenario_book& book);        // large leaves
void add_marker_book(mmhold::scenario_book& book);       // guards, poison, NUMA hints
void add_growth_book(mmhold::scenario_book& book);       // stacks that grow
void add_longterm_book(mmhold::scenario_book& book);     // long-term pins
void add_pair_scenarios(mmhold::scenario_book& book);    // every taker against every meddler
void add_pair_mutants(mmhold::scenario_book& book);      // and their mutants

}  // namespace mmhold_test
