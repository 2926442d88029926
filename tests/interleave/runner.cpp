// SPDX-License-Identifier: BSL-1.0
// mmhold_explore: the command line of the explorer.
#include <mmhold/explore/runner.hpp>

#include "file_scenarios.hpp"
#include "gup_scenarios.hpp"
#include "lock_scenarios.hpp"
#include "reclaim_scenarios.hpp"
#include "space_scenarios.hpp"
#include "task_scenarios.hpp"

int main(int count, char** arguments) {
    mmhold::scenario_book book;
    mmhold_test::add_task_scenarios(book);
    mmhold_test::add_lock_scenarios(book);
    mmhold_test::add_reclaim_scenarios(book);
    mmhold_test::add_space_scenarios(book);
    mmhold_test::add_gup_scenarios(book);
    mmhold_test::add_file_scenarios(book);
    return mmhold::run_explorer(book, count, arguments);
}
