// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "race_entry_scenarios.hpp"
#include "race_fork_scenarios.hpp"
#include "race_page_scenarios.hpp"
#include "races.hpp"

void mmhold_test::add_race_book(mmhold::scenario_book& book) {
    add_race_page_scenarios(book);
    add_race_fork_scenarios(book);
    add_race_entry_scenarios(book);
    add_races(book);
    excuse_sites(book);
}
