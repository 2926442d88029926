// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <concepts>
#include <optional>
#include <shared_mutex>
#include <type_traits>
#include <utility>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using lock_type = rw_lock<machine>;
using shared = held_shared<lock_type>;
using exclusive = held_exclusive<lock_type>;
using dropped = lock_dropped<lock_type>;
using permission = droppable<lock_type>;
using authority = lock_authority<lock_type>;

/// Only the base tier.
struct tries_only {
    bool held = false;
    constexpr bool try_lock_shared() { return try_lock(); }
    constexpr void unlock_shared() { held = false; }
    constexpr bool try_lock() { return !std::exchange(held, true); }
    constexpr void unlock() { held = false; }
};

template<class T>
constexpr bool move_only = std::movable<T> && !std::copyable<T>;

template<class L>
concept WaitsForShared = requires(L& lock) { held_shared<L>::acquire(lock); };
template<class L>
concept Downgrades = requires(held_exclusive<L>&& held) { std::move(held).downgrade(); };
template<class W>
concept PermitsDrop = requires(W&& witness) { may_drop(std::forward<W>(witness)); };

}  // namespace

static_assert(move_only<shared> && move_only<exclusive> && move_only<dropped>);
static_assert(move_only<permission> && std::copyable<authority>);
static_assert(!std::default_initializable<shared> && !std::default_initializable<dropped>);

// Nothing turns into a witness or a proof by conversion.
static_assert(!std::constructible_from<shared, lock_type&>);
static_assert(!std::constructible_from<shared, dropped>);
static_assert(!std::constructible_from<shared, exclusive>);
static_assert(!std::constructible_from<exclusive, shared>);
static_assert(!std::constructible_from<dropped, lock_type&>);
static_assert(!std::constructible_from<dropped, shared const&>);
static_assert(!std::constructible_from<permission, shared&>);

static_assert(LockWitness<shared> && LockWitness<exclusive const&> && LockWitness<shared&&>);
static_assert(!LockWitness<dropped> && !LockWitness<permission> && !LockWitness<lock_type>);
static_assert(WitnessOf<shared, lock_type> && !WitnessOf<shared, tries_only>);

static_assert(PermitsDrop<shared&> && !PermitsDrop<shared const&> && !PermitsDrop<shared>);
static_assert(!PermitsDrop<exclusive&>);

// A tier's operation exists exactly on the tier.
static_assert(WaitsForShared<lock_type> && WaitsForShared<std::shared_mutex>);
static_assert(!WaitsForShared<tries_only>);
static_assert(Downgrades<lock_type> && !Downgrades<std::shared_mutex>);

TEST_CASE("held_shared: holds from acquire to the end of the scope") {
    lock_type lock;
    {
        auto const held = shared::acquire(lock);
        CHECK(held.holding());
        CHECK(held.guards(lock));
        CHECK(&held.lock() == &lock);
        CHECK(lock.readers() == 1);
        auto const second = shared::acquire(lock);
        CHECK(lock.readers() == 2);
    }
    CHECK(lock.readers() == 0);
}

TEST_CASE("held_exclusive: holds from acquire to the end of the scope") {
    lock_type lock;
    {
        auto const held = exclusive::acquire(lock);
        CHECK(held.guards(lock));
        CHECK(lock.has_writer());
    }
    CHECK_FALSE(lock.has_writer());
}

TEST_CASE("held: guards its own lock and no other") {
    lock_type lock;
    lock_type other;
    auto const held = shared::acquire(lock);
    CHECK(held.guards(lock));
    CHECK_FALSE(held.guards(other));
}

TEST_CASE("held: try_acquire answers nothing when the lock is not to be had") {
    lock_type lock;
    auto const writer = exclusive::try_acquire(lock);
    REQUIRE(writer.has_value());
    CHECK_FALSE(shared::try_acquire(lock).has_value());
    CHECK_FALSE(exclusive::try_acquire(lock).has_value());
    CHECK(lock.has_writer());
}

TEST_CASE("held: an interrupted acquire is an error and no witness") {
    lock_type lock;
    auto const writer = exclusive::acquire(lock);
    task<machine> killed;
    killed.kill();
    auto const reading = shared::acquire(lock, killed, wait_mode::killable);
    REQUIRE_FALSE(reading.has_value());
    CHECK(reading.error() == errc::interrupted);
    auto const writing = exclusive::acquire(lock, killed, wait_mode::killable);
    REQUIRE_FALSE(writing.has_value());
    CHECK(writing.error() == errc::interrupted);
    CHECK(lock.queue_length() == 0);
}

TEST_CASE("held: an acquire that can be interrupted, and was not, holds") {
    lock_type lock;
    task<machine> waiter;
    {
        auto const reading = shared::acquire(lock, waiter, wait_mode::killable);
        REQUIRE(reading.has_value());
        CHECK(reading->guards(lock));
    }
    auto const writing = exclusive::acquire(lock, waiter, wait_mode::interruptible);
    REQUIRE(writing.has_value());
    CHECK(writing->guards(lock));
}

TEST_CASE("held: adopt answers for a hold that was taken by hand") {
    lock_type lock;
    lock.lock_shared();
    { auto const held = shared::adopt(lock); }
    CHECK(lock.readers() == 0);
    lock.lock();
    { auto const held = exclusive::adopt(lock); }
    CHECK_FALSE(lock.has_writer());
}

TEST_CASE("held: moving moves the hold") {
    lock_type lock;
    auto first = shared::acquire(lock);
    auto second = std::move(first);
    CHECK_FALSE(first.holding());  // NOLINT(bugprone-use-after-move)
    CHECK_FALSE(first.guards(lock));
    CHECK(second.guards(lock));
    CHECK(lock.readers() == 1);
}

TEST_CASE("held: assigning gives the old hold back first") {
    lock_type one;
    lock_type two;
    auto held = shared::acquire(one);
    held = shared::acquire(two);
    CHECK(one.readers() == 0);
    CHECK(held.guards(two));
    auto& same = held;
    held = std::move(same);
    CHECK(held.guards(two));
    CHECK(two.readers() == 1);
}

TEST_CASE("held: give_up unlocks now and proves it") {
    lock_type lock;
    lock_type other;
    auto held = shared::acquire(lock);
    auto proof = held.give_up();
    CHECK_FALSE(held.holding());
    CHECK(lock.readers() == 0);
    CHECK(proof.of(lock));
    CHECK_FALSE(proof.of(other));
    auto const moved = std::move(proof);
    CHECK(moved.of(lock));
    CHECK_FALSE(proof.of(lock));  // NOLINT(bugprone-use-after-move)
    held = shared::acquire(moved.lock());
    CHECK(held.guards(lock));
}

TEST_CASE("held: an exclusive hold can be given up, too") {
    lock_type lock;
    auto held = exclusive::acquire(lock);
    auto const proof = held.give_up();
    CHECK_FALSE(lock.has_writer());
    CHECK(proof.of(lock));
}

TEST_CASE("held: downgrade turns one witness into the other") {
    lock_type lock;
    auto writer = exclusive::acquire(lock);
    auto const reader = std::move(writer).downgrade();
    CHECK_FALSE(writer.holding());  // NOLINT(bugprone-use-after-move)
    CHECK(reader.guards(lock));
    CHECK(lock.readers() == 1);
    CHECK_FALSE(lock.has_writer());
}

TEST_CASE("droppable: drop() is seen by the holder") {
    lock_type lock;
    auto held = shared::acquire(lock);
    auto leave = may_drop(held);
    CHECK(leave.holding());
    CHECK(leave.held().guards(lock));
    auto const proof = leave.drop();
    CHECK(proof.of(lock));
    CHECK_FALSE(leave.holding());
    CHECK_FALSE(held.holding());
    CHECK(lock.readers() == 0);
}

TEST_CASE("droppable: a permission that is not used changes nothing") {
    lock_type lock;
    auto held = shared::acquire(lock);
    { [[maybe_unused]] auto const leave = may_drop(held); }
    CHECK(held.guards(lock));
}

TEST_CASE("lock_authority: keep gives no permission") {
    lock_type lock;
    auto const held = shared::acquire(lock);
    auto const told = authority::keep(held);
    CHECK(&told.held() == &held);
    CHECK_FALSE(told.permission().has_value());
}

TEST_CASE("lock_authority: may_drop gives it until the lock is gone") {
    lock_type lock;
    auto held = shared::acquire(lock);
    auto const told = authority::may_drop(may_drop(held));
    CHECK(&told.held() == &held);
    auto leave = told.permission();
    REQUIRE(leave.has_value());
    auto const proof = leave->drop();
    CHECK(proof.of(lock));
    CHECK_FALSE(told.permission().has_value());
    CHECK_FALSE(told.held().holding());
}

TEST_CASE("held: asking an empty witness for its lock stops the program") {
    auto const twice = mmhold_test::last_words([] {
        lock_type lock;
        auto held = shared::acquire(lock);
        (void)held.give_up();
        (void)held.give_up();
    });
    CHECK(twice.died);
    auto const moved_from = mmhold_test::last_words([] {
        lock_type lock;
        auto held = exclusive::acquire(lock);
        [[maybe_unused]] auto const taken = std::move(held);
        (void)held.lock();  // NOLINT(bugprone-use-after-move)
    });
    CHECK(moved_from.died);
    auto const moved_proof = mmhold_test::last_words([] {
        lock_type lock;
        auto held = shared::acquire(lock);
        auto proof = held.give_up();
        [[maybe_unused]] auto const taken = std::move(proof);
        (void)proof.lock();  // NOLINT(bugprone-use-after-move)
    });
    CHECK(moved_proof.died);
}

namespace {

constexpr bool the_story_of_a_dropped_lock() {
    rw_lock<constexpr_machine> lock;
    auto held = held_shared<decltype(lock)>::acquire(lock);
    auto const told = lock_authority<decltype(lock)>::may_drop(may_drop(held));
    auto const proof = told.permission()->drop();
    if (held.holding() || !proof.of(lock) || lock.readers() != 0) return false;
    held = held_shared<decltype(lock)>::acquire(proof.lock());
    return held.guards(lock);
}
static_assert(the_story_of_a_dropped_lock());

constexpr bool the_base_tier_is_enough_for_witnesses() {
    tries_only lock;
    auto const held = held_exclusive<tries_only>::try_acquire(lock);
    return held && !held_shared<tries_only>::try_acquire(lock);
}
static_assert(the_base_tier_is_enough_for_witnesses());

}  // namespace
