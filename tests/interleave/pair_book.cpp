// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "pair_userfault.hpp"
#include "serial_scenarios.hpp"

namespace mmhold_test {

void add_pair_scenarios(mmhold::scenario_book& book) {
    add_pair_rows(book, lockless_takers{});
    add_pair_rows(book, locking_takers{});
    add_more_pairs(book);
    add_pairs_on_the_fair_lock(book);
    add_userfault_pairs(book);
    add_serial_scenarios(book);
}

}  // namespace mmhold_test
