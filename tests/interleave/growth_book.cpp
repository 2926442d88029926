// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "growth_scenarios.hpp"

void mmhold_test::add_growth_book(mmhold::scenario_book& book) { add_growth_scenarios(book); }
