// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"

#include <mmhold/walk/locked_walker.hpp>
#include <mmhold/walk/lockless_walker.hpp>
#include <mmhold/walk/page_walker.hpp>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("the concepts tell the two walkers apart", "[walk]") {
    using locked = locked_walker<small::space_type>;
    using lockless = lockless_walker<small::space_type>;
    STATIC_REQUIRE(PageWalker<locked>);
    STATIC_REQUIRE(PageWalker<lockless>);
    STATIC_REQUIRE(LocklessWalker<lockless>);
    STATIC_REQUIRE_FALSE(LocklessWalker<locked>);
    STATIC_REQUIRE_FALSE(WalkStepper<lockless, held_shared<small::lock_type> const>);
    STATIC_REQUIRE_FALSE(PageWalker<int>);
}

TEST_CASE("the four ends of a walk", "[walk]") {
    CHECK(walk_answer::found(pfn{7}, 3) == walk_answer{walk_verdict::pages, pfn{7}, 3, {}, errc::ok});
    CHECK(walk_answer::needs_fault(fault_cause::must_unshare).cause == fault_cause::must_unshare);
    CHECK(walk_answer::refuse(errc::exists).error == errc::exists);
    CHECK(walk_answer::retreat().verdict == walk_verdict::retreat);
    CHECK(walk_answer{}.pages == 0);
}
