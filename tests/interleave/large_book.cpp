// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "large_scenarios.hpp"

void mmhold_test::add_large_book(mmhold::scenario_book& book) { add_large_scenarios(book); }
