// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "remap_scenarios.hpp"

void mmhold_test::add_remap_book(mmhold::scenario_book& book) { add_remap_scenarios(book); }
