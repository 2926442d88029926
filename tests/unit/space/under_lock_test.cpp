// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/vocab/result.hpp>

#include "support/catch.hpp"

#include <shared_mutex>
#include <utility>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using answer = result<int>;

/// Can be tried, not waited for.
struct timid_lock {
    constexpr bool try_lock_shared() { return !taken && ++readers > 0; }
    constexpr void unlock_shared() { --readers; }
    constexpr bool try_lock() { return readers == 0 && !std::exchange(taken, true); }
    constexpr void unlock() { taken = false; }
    bool taken = false;
    int readers = 0;
};

constexpr bool works_in_constant_evaluation() {
    rw_lock<constexpr_machine> lock;
    task<constexpr_machine> me;
    auto const seven = under_exclusive_lock<answer>(lock, me, [](auto const&) { return answer{7}; });
    auto const eight = under_shared_lock<answer>(lock, [](auto const&) { return answer{8}; });
    return *seven == 7 && *eight == 8;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEMPLATE_TEST_CASE("the work sees the lock held, and it is free afterwards", "", rw_lock<machine>,
                   std::shared_mutex, timid_lock) {
    TestType lock;
    task<machine> me;
    auto const exclusive = under_exclusive_lock<answer>(lock, me, [&](auto const& held) {
        CHECK(held.guards(lock));
        return answer{1};
    });
    CHECK(*exclusive == 1);
    auto const shared = under_shared_lock<answer>(lock, [&](auto const& held) {
        CHECK(held.guards(lock));
        return answer{2};
    });
    CHECK(*shared == 2);
    REQUIRE(lock.try_lock());
    lock.unlock();
}

TEST_CASE("a fatal signal ends the wait, an ordinary one does not concern it") {
    rw_lock<machine> lock;
    task<machine> me;
    me.signal();
    auto const work = [](auto const&) { return answer{1}; };
    CHECK(under_exclusive_lock<answer>(lock, me, work));
    auto const reader = held_shared<rw_lock<machine>>::acquire(lock);
    me.kill();
    CHECK(under_exclusive_lock<answer>(lock, me, work).error() == errc::interrupted);
    CHECK(*under_shared_lock<answer>(lock, work) == 1);
}

TEST_CASE("a lock that can only be tried is tried once") {
    timid_lock lock;
    task<machine> me;
    auto const work = [](auto const&) { return answer{1}; };
    REQUIRE(lock.try_lock());
    CHECK(under_exclusive_lock<answer>(lock, me, work).error() == errc::again);
    CHECK(under_shared_lock<answer>(lock, work).error() == errc::again);
    lock.unlock();
    CHECK(under_shared_lock<answer>(lock, work));
}
