// SPDX-License-Identifier: BSL-1.0
#include "book.hpp"
#include "lock_scenarios.hpp"
#include "queue_scenarios.hpp"
#include "reclaim_scenarios.hpp"
#include "task_scenarios.hpp"

void mmhold_test::add_protocol_book(mmhold::scenario_book& book) {
    add_task_scenarios(book);
    add_lock_scenarios(book);
    add_reclaim_scenarios(book);
    add_queue_scenarios(book);
}
