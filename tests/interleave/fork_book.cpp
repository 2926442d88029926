// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "fork_scenarios.hpp"

void mmhold_test::add_fork_book(mmhold::scenario_book& book) {
    add_fork_scenarios(book);
}
