// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

#include "support/catch.hpp"

#include <mutex>
#include <shared_mutex>

using namespace mmhold;

namespace {

struct tries_shared {
    bool try_lock_shared();
    void unlock_shared();
};
struct tries : tries_shared {
    bool try_lock();
    void unlock();
};
struct waits : tries {
    void lock_shared();
    void lock();
};
struct killable : waits {
    using machine = constexpr_machine;
    using waits::lock;
    using waits::lock_shared;
    result<void> lock_shared(task<machine>&, wait_mode);
    result<void> lock(task<machine>&, wait_mode);
};
struct downgrades : tries {
    void downgrade();
};
struct answers_nothing : tries {
    void try_lock();
};
struct killable_without_machine : waits {
    using waits::lock;
    using waits::lock_shared;
    result<void> lock_shared(task<constexpr_machine>&, wait_mode);
    result<void> lock(task<constexpr_machine>&, wait_mode);
};

}  // namespace

// Each tier asks for its own members and no more.
static_assert(SharedTryLockable<tries_shared> && !ExclusiveTryLockable<tries_shared>);
static_assert(!MmLock<tries_shared> && MmLock<tries>);
static_assert(!SharedLockable<tries> && !ExclusiveLockable<tries> && !BlockingMmLock<tries>);
static_assert(BlockingMmLock<waits> && !InterruptibleMmLock<waits> && !Downgradable<waits>);
static_assert(InterruptibleMmLock<killable> && !InterruptibleMmLock<killable_without_machine>);
static_assert(Downgradable<downgrades> && !BlockingMmLock<downgrades>);
static_assert(!MmLock<answers_nothing>);

// The standard's locks, as they are.
static_assert(BlockingMmLock<std::shared_mutex> && !Downgradable<std::shared_mutex>);
static_assert(BlockingMmLock<std::shared_timed_mutex>);
static_assert(ExclusiveLockable<std::mutex> && !MmLock<std::mutex>);

static_assert(require_mm_lock<tries>() && require_blocking_mm_lock<waits>());
static_assert(require_downgradable_mm_lock<downgrades>());

TEST_CASE("mm_lock: the tiers are told apart at compile time") { SUCCEED(); }
