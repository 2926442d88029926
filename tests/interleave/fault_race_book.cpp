// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "pager_scenarios.hpp"
#include "race_fault_scenarios.hpp"

void mmhold_test::add_fault_race_book(mmhold::scenario_book& book) {
    add_pager_scenarios(book);
    add_race_fault_scenarios(book);
}
