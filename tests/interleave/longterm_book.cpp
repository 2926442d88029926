// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "longterm_scenarios.hpp"

void mmhold_test::add_longterm_book(mmhold::scenario_book& book) { add_longterm_scenarios(book); }
