// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/reclaim_lazy.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

struct pressed : family_world {
    result<std::uint64_t> reclaim(page_span where) {
        auto const held = held_shared<lock_type>::acquire(parent.lock());
        return reclaim_lazy_free(held, me, parent, where);
    }
};

}  // namespace

TEST_CASE("reclaim lazy: what may go goes, ordinary and locked pages stay") {
    memory_swap<pressed::machine> disk{page_count{8}};
    pressed w;
    for (auto* space : {&w.parent, &w.child, &w.grandchild}) space->use_swap(disk);
    w.map(0, 40);
    w.map(40, 2, {.properties = vma_flag::droppable});
    for (std::uint64_t n = 0; n < 42; ++n) w.store(w.parent, w.page(n), 1);
    REQUIRE(lazy_free(w.me, w.parent, w.span(0, 38)));
    REQUIRE(w.parent.set_locked(w.me, w.span(0, 1), mark_locked::yes));
    CHECK(w.reclaim(w.span(0, 64)).value_or(0) == 37 + 2);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    CHECK(w.load(w.parent, w.page(39)) == 1);
    CHECK(w.load(w.parent, w.page(1)) == 0);
    CHECK(disk.in_use() == 0);
    CHECK(w.reclaim(w.span(0, 64)).value_or(99) == 0);
}

TEST_CASE("reclaim lazy: the lock must be this space's") {
    pressed w;
    auto const held = held_shared<pressed::lock_type>::acquire(w.child.lock());
    CHECK(reclaim_lazy_free(held, w.me, w.parent, w.span(0, 1)).error() == errc::lock_not_held);
}
