// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <string>

using namespace mmhold;

namespace {

using lock_type = null_lock<checked_host_machine>;

template<class L>
constexpr bool counts_like_a_lock() {
    L lock;
    lock.lock_shared();
    if (!lock.try_lock_shared() || lock.readers() != 2 || lock.try_lock()) return false;
    lock.unlock_shared();
    lock.unlock_shared();
    lock.lock();
    if (!lock.has_writer() || lock.try_lock_shared() || lock.try_lock()) return false;
    lock.downgrade();
    if (lock.has_writer() || lock.readers() != 1) return false;
    lock.unlock_shared();
    task<typename L::machine> killed;
    killed.kill();
    if (!lock.lock(killed, wait_mode::killable)) return false;
    if (lock.lock_shared(killed, wait_mode::killable).error() != errc::interrupted) return false;
    lock.unlock();
    return lock.readers() == 0 && !lock.has_writer();
}
static_assert(counts_like_a_lock<null_lock<constexpr_machine>>());

template<class Misuse>
std::string complaint(Misuse misuse) {
    auto const end = mmhold_test::last_words([misuse] {
        lock_type lock;
        misuse(lock);
    });
    return end.died ? end.words : "did not stop";
}

}  // namespace

TEST_CASE("null_lock: counts like a lock") { CHECK(counts_like_a_lock<lock_type>()); }

TEST_CASE("null_lock: a wait that nobody could end is found out") {
    std::string const words = "null_lock: held, and nobody could end the wait";
    auto const reader = complaint([](lock_type& lock) {
        lock.lock();
        lock.lock_shared();
    });
    CHECK(reader.find(words) != std::string::npos);
    auto const writer = complaint([](lock_type& lock) {
        lock.lock_shared();
        lock.lock();
    });
    CHECK(writer.find(words) != std::string::npos);
    auto const signalled = complaint([](lock_type& lock) {
        task<checked_host_machine> waiter;
        waiter.signal();
        lock.lock();
        (void)lock.lock_shared(waiter, wait_mode::killable);
    });
    CHECK(signalled.find(words) != std::string::npos);
}

TEST_CASE("null_lock: an unlock without a lock is found out") {
    auto const shared = complaint([](lock_type& lock) { lock.unlock_shared(); });
    CHECK(shared.find("nobody holds it shared") != std::string::npos);
    auto const exclusive = complaint([](lock_type& lock) { lock.unlock(); });
    CHECK(exclusive.find("nobody holds it exclusively") != std::string::npos);
    auto const downgraded = complaint([](lock_type& lock) { lock.downgrade(); });
    CHECK(downgraded.find("nobody holds it exclusively") != std::string::npos);
}
