// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/annotations.hpp>

using namespace mmhold;
using namespace mmhold::detail;

TEST_CASE("object_names: nearest name before the address", "[explore]") {
    object_names names;
    int words[4]{};
    names.add(&words[0], "pte", 3);
    CHECK(names.of(&words[0]) == "pte[3]");
    CHECK(names.of(&words[1]) == "pte[3]+4");
    CHECK(names.pointer(reinterpret_cast<std::uintptr_t>(&words[0])) == "&pte[3]");
    CHECK(names.pointer(1).empty());
}

TEST_CASE("lock_order_graph: a cycle of exclusive holds, not of shared ones", "[explore]") {
    using enum lock_mode;
    lock_order_graph graph;
    CHECK(graph.add({"A", "B", exclusive, exclusive, 0}).empty());
    CHECK(graph.add({"B", "C", exclusive, exclusive, 1}).empty());
    CHECK(graph.add({"C", "A", exclusive, exclusive, 2}).size() == 3);
    lock_order_graph shared_only;
    CHECK(shared_only.add({"A", "B", shared, shared, 0}).empty());
    CHECK(shared_only.add({"B", "A", shared, shared, 1}).empty());
}

TEST_CASE("wake_ledger: as many notify_one as waiters, or one notify_all", "[explore]") {
    wake_ledger ledger;
    ledger.needs_notify({1, 5, 0});
    ledger.needs_notify({1, 5, 1});
    CHECK(ledger.unanswered() != nullptr);
    ledger.notified(1, 6, wake_ledger::how_many::one);
    CHECK(ledger.unanswered() != nullptr);
    ledger.notified(1, 5, wake_ledger::how_many::all);  // before the write: helps nobody
    CHECK(ledger.unanswered() != nullptr);
    ledger.notified(1, 7, wake_ledger::how_many::all);
    CHECK(ledger.unanswered() == nullptr);
}
