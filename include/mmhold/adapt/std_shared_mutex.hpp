// SPDX-License-Identifier: BSL-1.0
#pragma once

// std_shared_mutex – std::shared_mutex as a Downgradable mm lock.
//
// std::shared_mutex is a BlockingMmLock as it stands, but it cannot downgrade, and unlock()
// followed by lock_shared() would let a writer in between. So writers queue at a second mutex, the
// gate, and hold it as long as they hold the lock:
//
// Writer      gate → lock … unlock → gate back
// Downgrader  unlock → lock_shared → gate back       (the gate keeps writers out in between)
//
// Readers do not know about the gate. Fairness is what the platform's std::shared_mutex gives;
// glibc's prefers readers: a stream of readers starves a writer. Prefer rw_lock where that matters.

#include <mmhold/lock/mm_lock.hpp>

#include <mutex>
#include <shared_mutex>

namespace mmhold {

static_assert(BlockingMmLock<std::shared_mutex>);
static_assert(!Downgradable<std::shared_mutex>);

/// std::shared_mutex with downgrade() (BlockingMmLock, Downgradable). Not recursive; the thread
/// that took it exclusively must be the one that gives it back.
class std_shared_mutex {
public:
    /// Takes it shared if that needs no waiting.
    [[nodiscard]] bool try_lock_shared() { return lock_.try_lock_shared(); }
    /// Waits. Lock before: not held by the caller; after: held shared.
    void lock_shared() { lock_.lock_shared(); }
    /// Gives one shared hold back.
    void unlock_shared() { lock_.unlock_shared(); }

    /// Takes it exclusively if that needs no waiting.
    [[nodiscard]] bool try_lock() {
        if (!gate_.try_lock()) return false;
        if (lock_.try_lock()) return true;
        gate_.unlock();
        return false;
    }
    /// Waits. Lock before: not held by the caller; after: held exclusively.
    void lock() {
        gate_.lock();
        lock_.lock();
    }
    /// Gives the exclusive hold back.
    void unlock() {
        lock_.unlock();
        gate_.unlock();
    }

    /// Exclusive becomes shared, with no exclusive holder in between.
    void downgrade() {
        lock_.unlock();
        lock_.lock_shared();
        gate_.unlock();
    }

private:
    std::mutex gate_;         // held while somebody holds lock_ exclusively, or waits for that
    std::shared_mutex lock_;
};

static_assert(BlockingMmLock<std_shared_mutex>);
static_assert(Downgradable<std_shared_mutex>);

}  // namespace mmhold
