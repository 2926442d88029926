// SPDX-License-Identifier: BSL-1.0
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/lock/held.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <thread>
#include <utility>

using namespace mmhold;

namespace {

/// What another thread would be answered: the standard forbids to try what one holds oneself.
template<class Try>
bool elsewhere(Try attempt) {
    bool answer = false;
    std::thread{[&] { answer = attempt(); }}.join();
    return answer;
}

bool reader_gets_in(std_shared_mutex& lock) {
    return elsewhere([&] {
        auto const held = held_shared<std_shared_mutex>::try_acquire(lock);
        return held.has_value();
    });
}

bool writer_gets_in(std_shared_mutex& lock) {
    return elsewhere([&] {
        auto const held = held_exclusive<std_shared_mutex>::try_acquire(lock);
        return held.has_value();
    });
}

}  // namespace

TEST_CASE("std_shared_mutex: shared and exclusive exclude as they should") {
    std_shared_mutex lock;
    {
        auto const held = held_shared<std_shared_mutex>::acquire(lock);
        CHECK(reader_gets_in(lock));
        CHECK_FALSE(writer_gets_in(lock));
    }
    {
        auto const held = held_exclusive<std_shared_mutex>::acquire(lock);
        CHECK_FALSE(reader_gets_in(lock));
        CHECK_FALSE(writer_gets_in(lock));
    }
    CHECK(writer_gets_in(lock));
    CHECK(reader_gets_in(lock));
}

TEST_CASE("std_shared_mutex: a refused writer leaves the gate open") {
    std_shared_mutex lock;
    {
        auto const held = held_shared<std_shared_mutex>::acquire(lock);
        CHECK_FALSE(writer_gets_in(lock));
    }
    CHECK(writer_gets_in(lock));
}

TEST_CASE("std_shared_mutex: downgrade admits readers, and no writer in between") {
    std_shared_mutex lock;
    std::atomic<int> writers{0};
    std::atomic<bool> about_to_write{false};
    auto writing = held_exclusive<std_shared_mutex>::acquire(lock);
    std::thread writer{[&] {
        about_to_write = true;
        auto const held = held_exclusive<std_shared_mutex>::acquire(lock);
        ++writers;
    }};
    while (!about_to_write) std::this_thread::yield();
    auto reading = std::move(writing).downgrade();
    CHECK(writers == 0);
    (void)reading.give_up();
    writer.join();
    CHECK(writers == 1);
}

TEST_CASE("std_shared_mutex: a downgraded hold is shared with readers") {
    std_shared_mutex lock;
    auto const reading = held_exclusive<std_shared_mutex>::acquire(lock).downgrade();
    CHECK(reader_gets_in(lock));
    CHECK_FALSE(writer_gets_in(lock));
}
