// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "count_scenarios.hpp"
#include "entry_scenarios.hpp"
#include "gup_scenarios.hpp"
#include "space_scenarios.hpp"

void mmhold_test::add_page_book(mmhold::scenario_book& book) {
    add_space_scenarios(book);
    add_gup_scenarios(book);
    add_entry_scenarios(book);
    add_count_scenarios(book);
}
