// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "file_scenarios.hpp"

void mmhold_test::add_file_book(mmhold::scenario_book& book) {
    add_file_scenarios(book);
}
