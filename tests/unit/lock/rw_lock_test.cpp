// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "support/together.hpp"

#include <atomic>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using lock_type = rw_lock<machine>;

template<class Condition>
void until(Condition condition) {
    while (!condition()) std::this_thread::yield();
}

/// Actors that get in line one after the other and stay inside until they are told to leave.
class stage {
public:
    lock_type lock;

    ~stage() {
        for (auto& actor : actors_) actor.thread.join();
    }

    /// Starts an actor that wants the lock, and returns when it stands in line.
    void enter(char const* name, lock_mode wanted, wait_mode mode = wait_mode::uninterruptible) {
        auto const before = lock.queue_length();
        start(name, wanted, mode);
        until([&] { return lock.queue_length() == before + 1; });
    }
    /// Starts an actor that wants the lock.
    void start(char const* name, lock_mode wanted, wait_mode mode = wait_mode::uninterruptible) {
        auto& actor = actors_.emplace_back();
        actor.name = name;
        actor.thread = std::thread{[this, &actor, wanted, mode] { play(actor, wanted, mode); }};
    }
    /// Waits until those who are inside are precisely these, in the order in which they came.
    void see_inside(std::string const& names) {
        until([&] { return inside() == names; });
    }
    std::string inside() {
        std::lock_guard const held{mutex_};
        return inside_;
    }
    /// Lets one actor leave, and waits until it has.
    void leave(std::string const& name) {
        auto& actor = find(name);
        actor.may_leave = true;
        until([&] { return actor.done.load(); });
    }
    task<machine>& who(std::string const& name) { return find(name).self; }
    errc outcome(std::string const& name) {
        auto& actor = find(name);
        until([&] { return actor.done.load(); });
        return actor.seen;
    }

private:
    struct role {
        std::string name;
        task<machine> self;
        std::atomic<bool> may_leave{false};
        std::atomic<bool> done{false};
        errc seen{errc::ok};
        std::thread thread;
    };

    void play(role& me, lock_mode wanted, wait_mode mode) {
        auto const shared = wanted == lock_mode::shared;
        auto const taken =
            shared ? lock.lock_shared(me.self, mode) : lock.lock(me.self, mode);
        me.seen = taken.error();
        if (taken) {
            note(me.name, std::string{});
            until([&] { return me.may_leave.load(); });
            note(std::string{}, me.name);
            shared ? lock.unlock_shared() : lock.unlock();
        }
        me.done = true;
    }
    /// Several readers may come at once: names are kept sorted among those who are inside.
    void note(std::string const& in, std::string const& out) {
        std::lock_guard const held{mutex_};
        if (!out.empty()) inside_.erase(inside_.find(out), out.size());
        auto place = inside_.begin();
        while (place != inside_.end() && !in.empty() && *place < in.front()) ++place;
        inside_.insert(place, in.begin(), in.end());
    }
    role& find(std::string const& name) {
        for (auto& actor : actors_) {
            if (actor.name == name) return actor;
        }
        std::abort();  // nobody is called that
    }

    std::mutex mutex_;
    std::string inside_;
    std::deque<role> actors_;
};

using enum lock_mode;

template<class L>
constexpr bool states_follow_the_calls() {
    L lock;
    lock.lock_shared();
    if (!lock.try_lock_shared() || lock.try_lock() || lock.readers() != 2) return false;
    lock.unlock_shared();
    lock.unlock_shared();
    lock.lock();
    if (!lock.has_writer() || lock.try_lock() || lock.try_lock_shared()) return false;
    lock.downgrade();
    if (lock.has_writer() || lock.readers() != 1 || lock.try_lock()) return false;
    if (!lock.try_lock_shared()) return false;
    lock.unlock_shared();
    lock.unlock_shared();
    if (!lock.try_lock()) return false;
    lock.unlock();
    return lock.readers() == 0 && !lock.has_writer() && lock.queue_length() == 0;
}

template<class L>
constexpr bool a_pending_signal_ends_a_wait_but_not_a_free_lock() {
    L lock;
    task<typename L::machine> killed;
    killed.kill();
    if (!lock.lock_shared(killed, wait_mode::killable)) return false;
    if (lock.lock(killed, wait_mode::killable).error() != errc::interrupted) return false;
    lock.unlock_shared();
    if (!lock.lock(killed, wait_mode::killable)) return false;
    if (lock.lock_shared(killed, wait_mode::interruptible)) return false;
    if (lock.lock(killed, wait_mode::killable).error() != errc::interrupted) return false;
    lock.unlock();
    if (lock.queue_length() != 0 || !lock.try_lock_shared()) return false;
    lock.unlock_shared();
    return true;
}

static_assert(states_follow_the_calls<rw_lock<constexpr_machine>>());
static_assert(a_pending_signal_ends_a_wait_but_not_a_free_lock<rw_lock<constexpr_machine>>());

}  // namespace

static_assert(sizeof(rw_lock<host_machine>) <= 32);
static_assert(InterruptibleMmLock<lock_type> && Downgradable<lock_type>);

TEST_CASE("rw_lock: states follow the calls") { CHECK(states_follow_the_calls<lock_type>()); }

TEST_CASE("rw_lock: a pending signal ends a wait, but does not refuse a free lock") {
    CHECK(a_pending_signal_ends_a_wait_but_not_a_free_lock<lock_type>());
}

TEST_CASE("7.8 a queued writer blocks new readers") {
    stage s;
    s.lock.lock_shared();
    s.enter("w", exclusive);
    CHECK_FALSE(s.lock.try_lock_shared());
    CHECK_FALSE(s.lock.try_lock());
    s.enter("r", shared);
    CHECK(s.inside().empty());
    s.lock.unlock_shared();
    s.see_inside("w");
    CHECK(s.lock.queue_length() == 1);
    s.leave("w");
    s.see_inside("r");
    s.leave("r");
    CHECK(s.lock.try_lock());
    s.lock.unlock();
}

TEST_CASE("rw_lock: the line is served in order, readers side by side") {
    stage s;
    s.lock.lock();
    s.enter("1", exclusive);
    s.enter("2", shared);
    s.enter("3", shared);
    s.enter("4", exclusive);
    s.enter("5", exclusive);
    s.enter("6", shared);
    s.lock.unlock();
    s.see_inside("1");
    CHECK(s.lock.queue_length() == 5);
    s.leave("1");
    s.see_inside("23");
    CHECK(s.lock.readers() == 2);
    CHECK(s.lock.queue_length() == 3);
    s.leave("3");
    CHECK(s.inside() == "2");
    s.leave("2");
    s.see_inside("4");
    s.leave("4");
    s.see_inside("5");
    s.leave("5");
    s.see_inside("6");
    CHECK(s.lock.queue_length() == 0);
    CHECK(s.lock.try_lock_shared());
    s.lock.unlock_shared();
    s.leave("6");
}

TEST_CASE("rw_lock: readers at the head of the line come in together") {
    stage s;
    s.lock.lock();
    for (auto const* name : {"a", "b", "c", "d"}) s.enter(name, shared);
    s.lock.unlock();
    s.see_inside("abcd");
    CHECK(s.lock.readers() == 4);
    for (auto const* name : {"a", "b", "c", "d"}) s.leave(name);
}

TEST_CASE("7.7 a downgrade lets the readers at the head in, and no writer") {
    stage s;
    s.lock.lock();
    s.enter("a", shared);
    s.enter("b", shared);
    s.enter("w", exclusive);
    s.enter("c", shared);
    s.lock.downgrade();
    s.see_inside("ab");
    CHECK(s.lock.readers() == 3);
    CHECK(s.lock.queue_length() == 2);
    s.leave("a");
    s.leave("b");
    CHECK(s.inside().empty());
    CHECK(s.lock.readers() == 1);
    s.lock.unlock_shared();
    s.see_inside("w");
    s.leave("w");
    s.see_inside("c");
    s.leave("c");
}

TEST_CASE("rw_lock: a downgrade does not let readers overtake a writer") {
    stage s;
    s.lock.lock();
    s.enter("w", exclusive);
    s.enter("r", shared);
    s.lock.downgrade();
    CHECK(s.lock.queue_length() == 2);
    CHECK_FALSE(s.lock.try_lock_shared());
    s.lock.unlock_shared();
    s.see_inside("w");
    s.leave("w");
    s.leave("r");
}

TEST_CASE("rw_lock: a killed writer at the head lets the readers behind it in") {
    stage s;
    s.lock.lock_shared();
    s.enter("w", exclusive, wait_mode::killable);
    s.enter("a", shared);
    s.enter("b", shared);
    s.enter("x", exclusive);
    s.who("w").kill();
    CHECK(s.outcome("w") == errc::interrupted);
    s.see_inside("ab");
    CHECK(s.lock.readers() == 3);
    CHECK(s.lock.queue_length() == 1);
    s.lock.unlock_shared();
    s.leave("a");
    s.leave("b");
    s.see_inside("x");
    s.leave("x");
}

TEST_CASE("rw_lock: the last in line takes the line with it when it is killed") {
    stage s;
    s.lock.lock_shared();
    s.enter("w", exclusive, wait_mode::killable);
    CHECK_FALSE(s.lock.try_lock_shared());
    s.who("w").kill();
    CHECK(s.outcome("w") == errc::interrupted);
    CHECK(s.lock.try_lock_shared());
    s.lock.unlock_shared();
    s.lock.unlock_shared();
    CHECK(s.lock.try_lock());
    s.lock.unlock();
}

TEST_CASE("rw_lock: a killed waiter in the middle of the line leaves the others in order") {
    stage s;
    s.lock.lock();
    s.enter("1", exclusive);
    s.enter("2", shared, wait_mode::killable);
    s.enter("3", exclusive);
    s.who("2").kill();
    CHECK(s.outcome("2") == errc::interrupted);
    CHECK(s.lock.queue_length() == 2);
    s.lock.unlock();
    s.see_inside("1");
    s.leave("1");
    s.see_inside("3");
    s.leave("3");
}

TEST_CASE("rw_lock: only a signal that the mode admits ends the wait") {
    stage s;
    s.lock.lock();
    s.enter("u", exclusive, wait_mode::uninterruptible);
    s.enter("k", exclusive, wait_mode::killable);
    s.enter("i", exclusive, wait_mode::interruptible);
    s.who("u").kill();
    s.who("k").signal();
    s.who("i").signal();
    CHECK(s.outcome("i") == errc::interrupted);
    CHECK(s.lock.queue_length() == 2);
    s.lock.unlock();
    s.see_inside("u");
    s.leave("u");
    s.see_inside("k");
    CHECK(s.outcome("u") == errc::ok);
    s.leave("k");
}

TEST_CASE("rw_lock: lock and lock_shared without a task wait, too") {
    lock_type lock;
    std::vector<char> order;
    lock.lock();
    std::thread writer{[&] {
        lock.lock();
        order.push_back('w');
        lock.unlock();
    }};
    until([&] { return lock.queue_length() == 1; });
    std::thread reader{[&] {
        lock.lock_shared();
        order.push_back('r');
        lock.unlock_shared();
    }};
    until([&] { return lock.queue_length() == 2; });
    lock.unlock();
    writer.join();
    reader.join();
    CHECK(order == std::vector<char>{'w', 'r'});
}

TEST_CASE("rw_lock: writers get through a stream of readers, and readers through one of writers") {
    lock_type lock;
    std::atomic<bool> stop{false};
    std::atomic<unsigned> holders{0};
    auto const stream_of_readers = [&] {
        while (!stop) {
            lock.lock_shared();
            ++holders;
            auto const before = holders.load();  // hold it until another reader or a while has come
            for (int i = 0; i < 50 && holders == before; ++i) std::this_thread::yield();
            lock.unlock_shared();
        }
    };
    auto const writer = [&] {
        for (int i = 0; i < 200; ++i) {
            lock.lock();
            lock.unlock();
        }
        stop = true;
    };
    mmhold_test::in_threads(stream_of_readers, stream_of_readers, stream_of_readers, writer);

    stop = false;
    auto const stream_of_writers = [&] {
        while (!stop) {
            lock.lock();
            std::this_thread::yield();
            lock.unlock();
        }
    };
    auto const reader = [&] {
        for (int i = 0; i < 200; ++i) {
            lock.lock_shared();
            lock.unlock_shared();
        }
        stop = true;
    };
    mmhold_test::in_threads(stream_of_writers, stream_of_writers, reader);
    CHECK(lock.queue_length() == 0);
}

namespace {

template<class Misuse>
std::string complaint(Misuse misuse) {
    auto const end = mmhold_test::last_words([misuse] {
        lock_type lock;
        misuse(lock);
    });
    return end.died ? end.words : "did not stop";
}

bool contains(std::string const& text, char const* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("rw_lock: misuse is found out on a checked machine") {
    auto const shared_free = complaint([](lock_type& lock) { lock.unlock_shared(); });
    CHECK(contains(shared_free, "unlock_shared, but nobody holds it shared"));
    auto const free = complaint([](lock_type& lock) { lock.unlock(); });
    CHECK(contains(free, "unlock, but nobody holds it exclusively"));
    auto const wrong_kind = complaint([](lock_type& lock) {
        lock.lock_shared();
        lock.unlock();
    });
    CHECK(contains(wrong_kind, "unlock, but nobody holds it exclusively"));
    auto const other_kind = complaint([](lock_type& lock) {
        lock.lock();
        lock.unlock_shared();
    });
    CHECK(contains(other_kind, "unlock_shared, but nobody holds it shared"));
    auto const no_writer = complaint([](lock_type& lock) {
        lock.lock_shared();
        lock.downgrade();
    });
    CHECK(contains(no_writer, "downgrade, but nobody holds it exclusively"));
    auto const in_use = complaint([](lock_type& lock) { lock.lock_shared(); });
    CHECK(contains(in_use, "destroyed while in use"));
}

namespace {

/// A machine that keeps an account of who holds what.
struct accounting_machine : basic_host_machine<asymmetric_fence::automatic, expectation::fatal> {
    static inline int shared_holds = 0;
    static inline int exclusive_holds = 0;
    static int& holds_of(lock_mode mode) {
        return mode == lock_mode::shared ? shared_holds : exclusive_holds;
    }
    static inline void const* subject = nullptr;
    static void lock_taken(void const* lock, lock_mode mode) {
        if (lock == subject) ++holds_of(mode);
    }
    static void lock_given(void const* lock, lock_mode mode) {
        if (lock == subject) --holds_of(mode);
    }
};

}  // namespace

TEST_CASE("rw_lock: the machine is told of every hold") {
    using accounts = accounting_machine;
    rw_lock<accounts> lock;
    accounts::subject = &lock;
    auto const account = [] { return std::pair{accounts::shared_holds, accounts::exclusive_holds}; };
    lock.lock_shared();
    CHECK(lock.try_lock_shared());
    CHECK(account() == std::pair{2, 0});
    CHECK_FALSE(lock.try_lock());
    task<accounts> killed;
    killed.kill();
    CHECK_FALSE(lock.lock(killed, wait_mode::killable).has_value());
    CHECK(account() == std::pair{2, 0});
    lock.unlock_shared();
    lock.unlock_shared();
    lock.lock();
    CHECK(account() == std::pair{0, 1});
    std::thread waiter{[&] { lock.lock_shared(); }};
    until([&] { return lock.queue_length() == 1; });
    lock.unlock();
    waiter.join();
    CHECK(account() == std::pair{1, 0});
    lock.unlock_shared();
    lock.lock();
    lock.downgrade();
    CHECK(account() == std::pair{1, 0});
    lock.unlock_shared();
    CHECK(account() == std::pair{0, 0});
}
