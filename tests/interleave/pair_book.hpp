// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/explore/scenario_book.hpp>

namespace mmhold_test {

/// Every taker against every meddler (pair_scenarios.hpp, pair_userfault.hpp).
void add_pair_scenarios(mmhold::scenario_book& book);
/// Their mutants (pair_mutant_list.hpp).
void add_pair_mutants(mmhold::scenario_book& book);

}  // namespace mmhold_test
