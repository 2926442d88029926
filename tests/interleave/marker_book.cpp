// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "marker_scenarios.hpp"

void mmhold_test::add_marker_book(mmhold::scenario_book& book) { add_marker_scenarios(book); }
