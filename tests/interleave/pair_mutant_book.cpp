// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "pair_mutant_list.hpp"

namespace mmhold_test {

void add_pair_mutants(mmhold::scenario_book& book) {
    add_pager_pairs(book);
    add_taker_mutants(book);
    add_meddler_mutants(book);
    add_userfault_mutants(book);
}

}  // namespace mmhold_test
