// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/fork_advice.hpp>
#include <mmhold/space/page_cache.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// Four private pages, written to: page n holds n + 1.
struct advised : family_world {
    advised() {
        map(0, 4);
        for (std::uint64_t n = 0; n < 4; ++n) store(parent, page(n), static_cast<int>(n + 1));
    }
    errc advise(std::uint64_t first, std::uint64_t count, at_fork what) {
        return fork_advice(me, parent, span(first, count), what).error();
    }
};

}  // namespace

TEST_CASE("fork advice: a child does not get what is left out") {
    advised w;
    CHECK(w.advise(1, 2, at_fork::leave_out) == errc::ok);
    CHECK(w.mappings(w.parent).size() == 3);
    REQUIRE(w.forks());
    CHECK(w.load(w.child, w.page(0)) == 1);
    CHECK(w.touch(w.child, w.page(1), access::read) == errc::bad_address);
    CHECK(w.load(w.parent, w.page(1)) == 2);
    CHECK(w.advise(1, 2, at_fork::inherit) == errc::ok);
    CHECK(w.mappings(w.parent).size() == 1);
    REQUIRE(fork(w.me, w.parent, w.grandchild));
    CHECK(w.load(w.grandchild, w.page(1)) == 2);
}

TEST_CASE("fork advice: what is wiped is zero in the child, and in its child") {
    advised w;
    CHECK(w.advise(2, 1, at_fork::wipe) == errc::ok);
    REQUIRE(w.forks());
    CHECK(w.load(w.child, w.page(2)) == 0);
    CHECK(w.load(w.child, w.page(3)) == 4);
    CHECK(w.load(w.parent, w.page(2)) == 3);
    w.store(w.child, w.page(2), 9);
    REQUIRE(fork(w.me, w.child, w.grandchild));
    CHECK(w.load(w.grandchild, w.page(2)) == 0);
    CHECK(w.advise(0, 4, at_fork::keep) == errc::ok);
    CHECK(w.mappings(w.parent).size() == 1);
}

TEST_CASE("fork advice: who may not be treated so ends it, those below are") {
    advised w;
    page_cache<family_world::space_type> object{w.frames, object_kind::shmem, 2 * page_size};
    w.map(4, 1, object.request(0, page_count{1}, prot::rw, mmap_flag::shared));
    w.map(5, 1, object.request(1, page_count{1}, prot::rw, {}));
    w.map(6, 1, {.properties = vma_flag::io});
    w.map(7, 1, {.properties = vma_flag::droppable});
    w.map(8, 1);
    CHECK(w.advise(3, 6, at_fork::wipe) == errc::invalid_argument);
    auto const all = w.mappings(w.parent);
    CHECK(all[1].flags.has(vma_flag::wipe_on_fork));
    CHECK_FALSE(all.back().flags.has(vma_flag::wipe_on_fork));
    CHECK(w.advise(5, 1, at_fork::wipe) == errc::invalid_argument);
    CHECK(w.advise(4, 3, at_fork::keep) == errc::ok);
    CHECK(w.advise(7, 1, at_fork::keep) == errc::invalid_argument);
    CHECK(w.advise(4, 5, at_fork::leave_out) == errc::ok);
    CHECK(w.advise(4, 5, at_fork::inherit) == errc::invalid_argument);
    CHECK(w.advise(7, 2, at_fork::inherit) == errc::ok);
    w.parent.exit(w.me);
}

TEST_CASE("fork advice: holes are told when the rest is done") {
    advised w;
    REQUIRE(w.parent.munmap(w.me, w.span(1, 1)));
    CHECK(w.advise(0, 3, at_fork::wipe) == errc::no_memory);
    auto const all = w.mappings(w.parent);
    REQUIRE(all.size() == 3);
    CHECK(all[0].flags.has(vma_flag::wipe_on_fork));
    CHECK(all[1].flags.has(vma_flag::wipe_on_fork));
    CHECK_FALSE(all[2].flags.has(vma_flag::wipe_on_fork));
    CHECK(w.advise(3, 2, at_fork::leave_out) == errc::no_memory);
    CHECK(w.advise(5, 2, at_fork::leave_out) == errc::no_memory);
    CHECK(w.advise(1, 1, at_fork::leave_out) == errc::no_memory);
    CHECK(w.advise(1, 0, at_fork::leave_out) == errc::ok);
}

TEST_CASE("fork advice: the lock must be this space's") {
    advised w;
    auto const held = held_exclusive<family_world::lock_type>::acquire(w.child.lock());
    CHECK(fork_advice_locked(held, w.parent, w.span(0, 1), at_fork::wipe).error() ==
          errc::lock_not_held);
}

TEST_CASE("fork advice: what may not be split is advised as a whole") {
    advised w;
    w.map(4, 2, {.properties = vma_flag::unsplittable});
    CHECK(w.advise(4, 1, at_fork::leave_out) == errc::invalid_argument);
    CHECK(w.advise(3, 2, at_fork::leave_out) == errc::invalid_argument);
    CHECK(w.advise(4, 2, at_fork::leave_out) == errc::ok);
}
