// SPDX-License-Identifier: BSL-1.0
// mmhold_explore: the command line of the explorer, over everything in the book.
#include <mmhold/explore/runner.hpp>

#include "book.hpp"

int main(int count, char** arguments) {
    mmhold::scenario_book book;
    mmhold_test::add_protocol_book(book);
    mmhold_test::add_page_book(book);
    mmhold_test::add_race_book(book);
    mmhold_test::add_fault_race_book(book);
    mmhold_test::add_fork_book(book);
    mmhold_test::add_file_book(book);
    mmhold_test::add_remap_book(book);
    mmhold_test::add_large_book(book);
    mmhold_test::add_marker_book(book);
    mmhold_test::add_growth_book(book);
    mmhold_test::add_longterm_book(book);
    mmhold_test::add_pair_scenarios(book);
    mmhold_test::add_pair_mutants(book);
    return mmhold::run_explorer(book, count, arguments);
}
