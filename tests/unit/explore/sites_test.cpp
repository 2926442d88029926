// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/sites.hpp>

using namespace mmhold;
using namespace mmhold::detail;

TEST_CASE("site_table: weakening leaves what the access can have", "[explore]") {
    CHECK(weakened(memory_order::acq_rel, weakening::off, site_kind::update) ==
          memory_order::relaxed);
    CHECK(weakened(memory_order::acq_rel, weakening::to_release, site_kind::update) ==
          memory_order::release);
    CHECK(weakened(memory_order::seq_cst, weakening::to_acq_rel, site_kind::load) ==
          memory_order::acquire);
    CHECK(weakened(memory_order::release, weakening::to_acquire, site_kind::store) ==
          memory_order::relaxed);
}

TEST_CASE("site_table: changes go by name, and passed sites are collected once", "[explore]") {
    site_table table{{{"a", weakening::off}}, site_collection::on};
    request const a{memory_order::acquire, "a", {}};
    request const b{memory_order::acquire, "b", {}};
    CHECK(table.order_of(a, op_kind::load) == memory_order::relaxed);
    CHECK(table.order_of(b, op_kind::load) == memory_order::acquire);
    CHECK(table.order_of(b, op_kind::load) == memory_order::acquire);
    CHECK(table.seen().size() == 2);
}
