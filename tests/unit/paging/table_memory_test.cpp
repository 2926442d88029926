// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/table_memory.hpp>

#include "guest_tables.hpp"
#include "support/catch.hpp"

using namespace paging_test;

namespace {

struct not_a_memory {
    using format = x86_64<4>;
    using reclaimer = test_domain;
};
static_assert(!TableMemory<not_a_memory>);
static_assert(TableMemory<host_tables<x86_64<4>, test_domain>>);
static_assert(TableMemory<guest_tables>);

}  // namespace

TEST_CASE("table memory may be a simulator's guest-physical bytes, big-endian if need be") {
    guest_tables memory{16};
    test_domain domain;
    test_cpu me{domain};
    page_table<x86_64<4>, guest_tables> table{memory};
    REQUIRE(table.map(me, virt_addr{0x40'0000'1000}, rw_leaf(0x55), 0));
    REQUIRE(table.map(me, virt_addr{0x40'0020'0000}, rw_leaf(0x200), 1));
    REQUIRE(table.split(me, virt_addr{0x40'0020'0000}));

    // With the guest's own eyes: entry 0 of the root, then 256, 0 and 1.
    auto at = table.root().value;
    for (unsigned const index : {0U, 256U, 0U, 1U}) {
        at = x86_64<4>::decode(memory.big_endian_at(at * page_size + index * 8), 1).target.value;
    }
    REQUIRE(at == 0x55);

    noting_sink sink;
    REQUIRE(table.unmap(me, bytes_from(0x40'0000'0000, size_1g), sink));
    REQUIRE(sink.leaves.size() == 513);
    table.destroy(me);
    (void)domain.reclaim(me.record());
    REQUIRE(memory.in_use() == 0);
}
