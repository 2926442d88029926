// SPDX-License-Identifier: BSL-1.0
// mmhold_explore: the command line of the explorer.
#include <mmhold/explore/runner.hpp>

#include "fork_scenarios.hpp"
#include "gup_scenarios.hpp"
#include "lock_scenarios.hpp"
#include "race_entry_scenarios.hpp"
#include "race_fault_scenarios.hpp"
#include "race_fork_scenarios.hpp"
#include "race_page_scenarios.hpp"
#include "races.hpp"
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
    mmhold_test::add_race_page_scenarios(book);
    mmhold_test::add_race_fork_scenarios(book);
    mmhold_test::add_race_fault_scenarios(book);
    mmhold_test::add_race_entry_scenarios(book);
    mmhold_test::add_races(book);
    mmhold_test::add_fork_scenarios(book);
    return mmhold::run_explorer(book, count, arguments);
}
