// SPDX-License-Identifier: BSL-1.0
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/laws/mm_lock.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/together.hpp"

#include <atomic>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>

using namespace mmhold;

// Every model, at compile time ---------------------------------------------------------------------

static_assert(mm_lock_laws<rw_lock<constexpr_machine>>());
static_assert(mm_lock_laws<big_lock<constexpr_machine>>());
static_assert(mm_lock_laws<null_lock<constexpr_machine>>());

// Locks that are broken in one way each --------------------------------------------------------------

namespace {

/// A correct lock for one thread, as the start of all broken ones.
struct toy_lock {
    int readers = 0;
    bool writer = false;

    constexpr bool try_lock_shared() {
        if (writer) return false;
        ++readers;
        return true;
    }
    constexpr void unlock_shared() { --readers; }
    constexpr bool try_lock() {
        if (writer || readers != 0) return false;
        writer = true;
        return true;
    }
    constexpr void unlock() { writer = false; }
};
static_assert(MmLock<toy_lock> && !BlockingMmLock<toy_lock> && !Downgradable<toy_lock>);
static_assert(mm_lock_laws<toy_lock>());

struct readers_do_not_count : toy_lock {
    constexpr bool try_lock() { return !writer && (writer = true); }
};
struct writers_do_not_count : toy_lock {
    constexpr bool try_lock_shared() { return ++readers > 0; }
};
struct one_unlock_frees_all : toy_lock {
    constexpr void unlock_shared() { readers = 0; }
};
struct unlock_forgets : toy_lock {
    constexpr void unlock() {}
};
struct refused_try_leaves_the_bit : toy_lock {
    constexpr bool try_lock() {
        bool const granted = !writer && readers == 0;
        writer = true;
        return granted;
    }
};
struct refused_try_keeps_readers_out : toy_lock {
    bool writer_waits = false;
    constexpr bool try_lock_shared() { return !writer_waits && toy_lock::try_lock_shared(); }
    constexpr bool try_lock() {
        bool const granted = toy_lock::try_lock();
        writer_waits = readers != 0;
        return granted;
    }
    constexpr void unlock_shared() {
        toy_lock::unlock_shared();
        if (readers == 0) writer_waits = false;
    }
};
struct downgrade_gives_up : toy_lock {
    constexpr void downgrade() { writer = false; }
};
struct downgrade_does_nothing : toy_lock {
    constexpr void downgrade() {}
};
struct waits_grant_nothing : toy_lock {
    constexpr void lock_shared() {}
    constexpr void lock() {}
    constexpr void unlock() { writer = false; }
};

/// Adds waits that interrupt whenever they would not end, correctly.
struct killable_toy : toy_lock {
    using machine = constexpr_machine;
    constexpr void lock_shared() { (void)try_lock_shared(); }
    constexpr void lock() { (void)try_lock(); }
    constexpr result<void> lock_shared(task<machine>&, wait_mode) {
        return try_lock_shared() ? errc::ok : errc::interrupted;
    }
    constexpr result<void> lock(task<machine>&, wait_mode) {
        return try_lock() ? errc::ok : errc::interrupted;
    }
};
static_assert(InterruptibleMmLock<killable_toy> && mm_lock_laws<killable_toy>());

struct killed_waiters_get_in : killable_toy {
    using killable_toy::lock;
    constexpr result<void> lock(task<machine>&, wait_mode) { return {}; }
};
struct killed_waiters_stay_in_line : killable_toy {
    int in_line = 0;
    using killable_toy::lock;
    constexpr bool try_lock_shared() { return in_line == 0 && toy_lock::try_lock_shared(); }
    constexpr result<void> lock(task<machine>&, wait_mode) {
        if (try_lock()) return {};
        ++in_line;
        return errc::interrupted;
    }
};
struct any_signal_kills : killable_toy {
    using killable_toy::lock_shared;
    constexpr result<void> lock_shared(task<machine>& waiter, wait_mode) {
        if (waiter.signal_pending(wait_mode::interruptible)) return errc::interrupted;
        return try_lock_shared() ? errc::ok : errc::interrupted;
    }
};
struct wrong_error : killable_toy {
    using killable_toy::lock;
    constexpr result<void> lock(task<machine>&, wait_mode) {
        return try_lock() ? errc::ok : errc::busy;
    }
};

template<class L>
constexpr bool breaks(char const* law) {
    auto const verdict = mm_lock_laws<L>();
    return !verdict && std::string_view{verdict.law} == law;
}

static_assert(breaks<readers_do_not_count>("exclusion"));
static_assert(breaks<writers_do_not_count>("exclusion"));
static_assert(breaks<one_unlock_frees_all>("balance"));
static_assert(breaks<unlock_forgets>("exclusion"));
static_assert(breaks<refused_try_leaves_the_bit>("balance"));
static_assert(breaks<refused_try_keeps_readers_out>("try"));
static_assert(breaks<downgrade_gives_up>("downgrade"));
static_assert(breaks<downgrade_does_nothing>("downgrade"));
static_assert(breaks<waits_grant_nothing>("waiting"));
static_assert(breaks<killed_waiters_get_in>("interruption"));
static_assert(breaks<killed_waiters_stay_in_line>("interruption"));
static_assert(breaks<any_signal_kills>("interruption"));
static_assert(breaks<wrong_error>("interruption"));

// Broken only when several callers are at work -------------------------------------------------------

/// A test-and-set lock that forgets that somebody may come between the test and the set.
class looks_before_it_leaps {
public:
    bool try_lock() {
        if (holders_.load() != 0) return false;
        std::this_thread::yield();
        holders_.store(1);
        return true;
    }
    void unlock() { holders_.store(0); }
    void lock() {
        while (!try_lock()) std::this_thread::yield();
    }
    bool try_lock_shared() { return try_lock(); }
    void unlock_shared() { unlock(); }
    void lock_shared() { lock(); }

private:
    std::atomic<int> holders_{0};
};

/// Downgrades by giving the lock up and asking for it again.
class downgrades_with_a_gap : public rw_lock<host_machine> {
public:
    void downgrade() {
        unlock();
        std::this_thread::yield();
        lock_shared();
    }
};

/// Loses patience.
class barges_in {
public:
    bool try_lock() { return !held_.exchange(true); }
    void unlock() { held_.store(false); }
    void lock() {
        for (int attempt = 0; attempt < 3 && !try_lock(); ++attempt) std::this_thread::yield();
    }
    bool try_lock_shared() { return try_lock(); }
    void unlock_shared() { unlock(); }
    void lock_shared() { lock(); }

private:
    std::atomic<bool> held_{false};
};

constexpr unsigned rounds = 2000;

/// Tries for a while: a race is a matter of luck.
template<class L>
std::string law_broken_by_threads() {
    for (int attempt = 0; attempt < 100; ++attempt) {
        L lock;
        auto const verdict =
            mm_lock_concurrent_laws<host_machine>(lock, mmhold_test::in_threads, rounds);
        if (!verdict) return verdict.law;
    }
    return "none";
}

template<class L>
void check_with_threads() {
    L lock;
    auto const single = mm_lock_laws(lock);
    INFO(single.law << ": " << (single.failure == nullptr ? "" : single.failure));
    CHECK(single.holds());
    auto const several =
        mm_lock_concurrent_laws<checked_host_machine>(lock, mmhold_test::in_threads, rounds);
    INFO(several.law << ": " << (several.failure == nullptr ? "" : several.failure));
    CHECK(several.holds());
}

}  // namespace

TEST_CASE("mm_lock laws: rw_lock keeps them among threads") {
    check_with_threads<rw_lock<checked_host_machine>>();
    check_with_threads<rw_lock<host_machine>>();
}

TEST_CASE("mm_lock laws: big_lock keeps them among threads") {
    check_with_threads<big_lock<checked_host_machine>>();
}

TEST_CASE("mm_lock laws: std_shared_mutex keeps them among threads") {
    check_with_threads<std_shared_mutex>();
}

TEST_CASE("mm_lock laws: std::shared_mutex keeps those of its tiers") {
    check_with_threads<std::shared_mutex>();
}

TEST_CASE("mm_lock laws: null_lock keeps those that one thread can judge") {
    CHECK(mm_lock_laws<null_lock<checked_host_machine>>().holds());
}

TEST_CASE("mm_lock laws: a gap between test and set is found") {
    CHECK(law_broken_by_threads<looks_before_it_leaps>() == "exclusion, concurrently");
}

TEST_CASE("mm_lock laws: a lock that loses patience is found") {
    CHECK(law_broken_by_threads<barges_in>() == "exclusion, concurrently");
}

TEST_CASE("mm_lock laws: a downgrade with a gap is found") {
    CHECK(law_broken_by_threads<downgrades_with_a_gap>() == "downgrade, concurrently");
}

TEST_CASE("mm_lock laws: a verdict names the law and what was seen") {
    constexpr auto verdict = mm_lock_laws<readers_do_not_count>();
    CHECK(std::string{verdict.law} == "exclusion");
    CHECK(std::string{verdict.failure} == "a writer got in beside a reader");
}
