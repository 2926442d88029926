// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <mmhold/machine/host_machine.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

using namespace mmhold;

TEST_CASE("await sleeps until the word is changed and its writer notifies") {
    host_machine::atomic<std::uint32_t> word{0};
    host_machine::atomic<std::uint32_t> answer{0};
    std::thread sleeper{[&] {
        auto const seen = host_machine::await(
            word, [](std::uint32_t value) { return value >= 3; }, acquire("test.await"));
        answer.store(seen, release("test.answer"));
    }};
    for (std::uint32_t value = 1; value <= 3; ++value) {
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        word.store(value, release("test.wake"));
        word.notify_all();
    }
    sleeper.join();
    CHECK(answer.load(relaxed) == 3);
}

TEST_CASE("await of a 64-bit word and poll need no notification") {
    host_machine::atomic<std::uint64_t> word{0};
    auto const set = [](std::uint64_t value) { return value != 0; };
    std::thread writer{[&] {
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        word.store(5, release("test.set"));
    }};
    CHECK(host_machine::await(word, set, acquire("test.await_wide")) == 5);
    CHECK(host_machine::poll(word, set, acquire("test.poll")) == 5);
    writer.join();
}

TEST_CASE("what happened before a release is visible after the acquire that waited for it") {
    host_machine::plain<int> payload{0};
    host_machine::atomic<std::uint32_t> ready{0};
    std::thread writer{[&] {
        payload.set(42);
        ready.store(1, release("test.publish"));
        ready.notify_one();
    }};
    (void)host_machine::await(
        ready, [](std::uint32_t value) { return value == 1; }, acquire("test.look"));
    CHECK(payload.get() == 42);
    writer.join();
}

TEST_CASE("increments of several threads add up") {
    host_machine::atomic<std::uint64_t> word{0};
    auto const count = [&word] {
        for (int round = 0; round < 10'000; ++round) (void)word.fetch_add(1, relaxed);
    };
    std::thread one{count};
    std::thread two{count};
    one.join();
    two.join();
    CHECK(word.load(relaxed) == 20'000);
}

TEST_CASE("exhausted memory is nullptr, never an exception") {
    auto const most = static_cast<std::size_t>(-1);
    CHECK(host_machine::create_array<std::uint64_t>(most) == nullptr);
    CHECK(host_machine::create_array<char>(most) == nullptr);
    CHECK(host_machine::create_array<std::uint64_t>(most / 8) == nullptr);
}

TEST_CASE("create passes its arguments on and destroy ends the object") {
    auto const shared = std::make_shared<int>(1);
    auto* const copy = host_machine::create<std::shared_ptr<int>>(shared);
    REQUIRE(copy != nullptr);
    CHECK(shared.use_count() == 2);
    host_machine::destroy(copy);
    CHECK(shared.use_count() == 1);
    auto* const array = host_machine::create_array<std::shared_ptr<int>>(3);
    REQUIRE(array != nullptr);
    array[2] = shared;
    host_machine::destroy_array(array, 3);
    CHECK(shared.use_count() == 1);
}

TEST_CASE("a false expectation stops a checked host and says why") {
    auto const end = mmhold_test::last_words(
        [] { checked_host_machine::expect(false, "the moon is made of cheese"); });
    CHECK(end.died);
    CHECK(end.words.find("mmhold: expectation failed: the moon is made of cheese")
          != std::string::npos);
    CHECK_FALSE(mmhold_test::last_words([] { checked_host_machine::expect(true, "x"); }).died);
}

TEST_CASE("an unchecked host ignores expectations") {
    CHECK_FALSE(mmhold_test::last_words([] { host_machine::expect(false, "x"); }).died);
}

TEST_CASE("the clock moves on") {
    auto const before = host_machine::now();
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
    auto const after = host_machine::now();
    CHECK(after - before >= 1'000'000);
}
