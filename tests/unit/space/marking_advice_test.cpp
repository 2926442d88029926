// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/space/marking_advice.hpp>

using namespace mmhold;
using namespace mmhold_test;
using small = small_space<>;

namespace {

vma_flags advised(vma_flags before, marking_advice what) {
    vma area;
    area.flags = before;
    return flags_if_advised(area, what).value_or(vma_flags{vma_flag::io});
}
errc refusal(vma_flag flag, marking_advice what) {
    vma area;
    area.flags = flag;
    return flags_if_advised(area, what).error();
}

}  // namespace

TEST_CASE("how a mapping is read is one of three", "[advice]") {
    vma_flags const in_order{vma_flag::reads_in_order};
    CHECK(advised({}, marking_advice::reads_in_order) == in_order);
    CHECK(advised(in_order, marking_advice::reads_at_random) == vma_flags{vma_flag::reads_randomly});
    CHECK(advised(in_order, marking_advice::reads_as_usual).empty());
}

TEST_CASE("devices and droppable memory are never dumped, secret memory is on demand", "[advice]") {
    for (auto const flag :
         {vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand, vma_flag::droppable}) {
        CHECK(refusal(flag, marking_advice::dump) == errc::invalid_argument);
        CHECK(refusal(flag, marking_advice::leave_out_of_dumps) == errc::ok);
    }
    CHECK(refusal(vma_flag::hugetlb, marking_advice::dump) == errc::ok);
    CHECK(advised({vma_flag::secret, vma_flag::dont_dump}, marking_advice::dump) ==
          vma_flags{vma_flag::secret});
}

TEST_CASE("only private memory merges equal pages, and others ignore the advice", "[advice]") {
    CHECK(advised({}, marking_advice::merge_equal) == vma_flags{vma_flag::merges_equal});
    for (auto const flag : {vma_flag::shared, vma_flag::hugetlb, vma_flag::droppable}) {
        CHECK(advised(flag, marking_advice::merge_equal) == vma_flags{flag});
    }
    CHECK(advised(vma_flag::merges_equal, marking_advice::keep_equal).empty());
}

TEST_CASE("a mark splits a mapping, and the same mark joins it again", "[advice]") {
    small host;
    REQUIRE(host.map(8));
    auto const count = [&] {
        auto const held = host.hold();
        return host.mm.vma_count(held);
    };
    auto const mark = [&](std::uint64_t first, std::uint64_t pages, marking_advice what) {
        return mark_mappings(host.me, host.mm, small::span(first, pages), what).error();
    };
    CHECK(mark(2, 3, marking_advice::reads_at_random) == errc::ok);
    CHECK(count() == 3);
    CHECK(mark(7, 3, marking_advice::reads_at_random) == errc::no_memory);
    CHECK(count() == 4);
    CHECK(mark(0, 8, marking_advice::reads_as_usual) == errc::ok);
    CHECK(count() == 1);
}
