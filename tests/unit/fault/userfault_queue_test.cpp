// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/userfault_queue.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

#include "unit/fault/counting_machine.hpp"
#include <atomic>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

using namespace mmhold_test;
using machine = counting_machine;
using queue = mm::userfault_queue<machine>;
using mm::errc;
using mm::userfault_event;
using mm::userfault_event_flag;
using mm::virt_addr;
using mm::wait_mode;

namespace {

constexpr virt_addr page_a{0x1000};
constexpr virt_addr page_b{0x2000};

mm::page_span page(virt_addr at) { return *mm::page_span::from(at, mm::page_count{1}); }

mm::wait_ticket<machine> must_raise(queue& events, mm::task<machine>& who, virt_addr at,
                                    mm::userfault_event_flags flags = {}) {
    auto raised = events.raise(who, at, flags);
    REQUIRE(raised.has_value());
    return *std::move(raised);
}

constexpr bool whole_life_in_constant_evaluation() {
    mm::userfault_queue<mm::constexpr_machine> events;
    mm::task<mm::constexpr_machine> sleeper;
    auto ticket = *events.raise(sleeper, page_a, userfault_event_flag::write);
    if (ticket.ready() || events.counts() != mm::userfault_counts{1, 1, 1, 1}) return false;
    auto const event = events.read_event();
    if (!event || *event != userfault_event{page_a, userfault_event_flag::write, 1}) return false;
    if (events.read_event()) return false;
    if (events.wake(*mm::page_span::from(page_a, mm::page_count{1})) != 1) return false;
    ticket.wait(wait_mode::killable);
    if (!ticket.ready()) return false;
    ticket.reset();
    return events.counts() == mm::userfault_counts{0, 0, 0, 1};
}
static_assert(whole_life_in_constant_evaluation());

}  // namespace

TEST_CASE("events are read once, in the order they were raised", "[fault][userfault]") {
    queue events;
    mm::task<machine> first;
    mm::task<machine> second;
    CHECK_FALSE(events.read_event());
    auto one = must_raise(events, first, page_b);
    auto two = must_raise(events, second, page_a, userfault_event_flag::write);
    CHECK(events.counts() == mm::userfault_counts{2, 2, 2, 2});
    CHECK(events.read_event() == userfault_event{page_b, {}, 1});
    CHECK(events.counts() == mm::userfault_counts{1, 2, 2, 2});
    CHECK(events.read_event() == userfault_event{page_a, userfault_event_flag::write, 2});
    CHECK_FALSE(events.read_event());
    CHECK(events.counts() == mm::userfault_counts{0, 2, 2, 2});
}

TEST_CASE("wake resolves exactly the waiters of the range", "[fault][userfault]") {
    queue events;
    mm::task<machine> first;
    mm::task<machine> second;
    auto one = must_raise(events, first, page_a);
    auto two = must_raise(events, second, page_b);
    CHECK(events.wake(page(page_b)) == 1);
    CHECK_FALSE(one.ready());
    CHECK(two.ready());
    CHECK(events.wake(page(page_b)) == 0);  // it is out of the line although its ticket lives
    CHECK(events.counts() == mm::userfault_counts{1, 1, 2, 2});
    CHECK(events.wake(*mm::page_span::from({0}, mm::page_count{16})) == 1);
    CHECK(one.ready());
    CHECK(events.wake(mm::page_span{}) == 0);
}

TEST_CASE("8.4: two waiters on one page are two events, and one wake ends both",
          "[fault][userfault]") {
    queue events;
    mm::task<machine> first;
    mm::task<machine> second;
    auto one = must_raise(events, first, page_a);
    auto two = must_raise(events, second, page_a);
    CHECK(events.read_event() == userfault_event{page_a, {}, 1});
    CHECK(events.read_event() == userfault_event{page_a, {}, 2});
    CHECK(events.wake(page(page_a)) == 2);
    CHECK(one.ready());
    CHECK(two.ready());
}

TEST_CASE("an event whose waiter was woken before it was read is not read any more",
          "[fault][userfault]") {
    queue events;
    mm::task<machine> sleeper;
    auto ticket = must_raise(events, sleeper, page_a);
    CHECK(events.wake(page(page_a)) == 1);
    CHECK_FALSE(events.read_event());
}

TEST_CASE("an event whose waiter gave up before it was read is not read any more",
          "[fault][userfault]") {
    queue events;
    mm::task<machine> sleeper;
    {
        auto ticket = must_raise(events, sleeper, page_a);
        CHECK(events.counts().waiting == 1);
    }
    CHECK(events.counts() == mm::userfault_counts{0, 0, 0, 1});
    CHECK_FALSE(events.read_event());
    CHECK(events.wake(page(page_a)) == 0);
}

TEST_CASE("an exact address inside the page is woken by the page's range", "[fault][userfault]") {
    queue events;
    mm::task<machine> sleeper;
    auto ticket = must_raise(events, sleeper, {0x1234});
    CHECK(events.read_event()->address == virt_addr{0x1234});
    CHECK(events.wake(page(page_b)) == 0);
    CHECK(events.wake(page(page_a)) == 1);
}

TEST_CASE("raising forgets wakes that were meant for something else", "[fault][userfault]") {
    queue events;
    mm::task<machine> sleeper;
    sleeper.wake();
    auto ticket = must_raise(events, sleeper, page_a);
    CHECK_FALSE(ticket.ready());
    sleeper.wake();  // stale, while it waits: it looks, finds nothing, and would sleep on
    CHECK_FALSE(ticket.ready());
    events.wake(page(page_a));
    ticket.wait(wait_mode::uninterruptible);
    CHECK(ticket.ready());
}

TEST_CASE("stopped: nothing more is queued, and wake_all ends every wait", "[fault][userfault]") {
    queue events;
    mm::task<machine> first;
    mm::task<machine> second;
    auto read = must_raise(events, first, page_a);
    (void)events.read_event();
    auto unread = must_raise(events, second, page_b);
    CHECK_FALSE(events.stopped());
    events.stop();
    CHECK(events.stopped());
    CHECK_FALSE(read.ready());
    CHECK_FALSE(unread.ready());
    CHECK(events.wake_all() == 2);
    CHECK(events.wake_all() == 0);
    CHECK(read.ready());
    CHECK(unread.ready());
    mm::task<machine> late;
    auto none = must_raise(events, late, page_a);
    CHECK(none.ready());
    CHECK(events.counts() == mm::userfault_counts{0, 0, 2, 2});
    CHECK(events.wait_event(late, wait_mode::killable).error() == errc::invalid_argument);
    events.stop();
}

TEST_CASE("an exhausted machine queues nothing and leaks nothing",
          "[fault][userfault][no-memory]") {
    long const before = counting_machine::live;
    {
        queue events;
        mm::task<machine> sleeper;
        {
            creations_left none{0};
            CHECK(events.raise(sleeper, page_a, {}).error() == errc::no_memory);
        }
        CHECK(events.counts() == mm::userfault_counts{0, 0, 0, 0});
        events.stop();
        CHECK(events.raise(sleeper, page_a, {})->ready());
    }
    CHECK(counting_machine::live == before);
}

TEST_CASE("waiting for an event: an event beats a signal, a signal beats the end",
          "[fault][userfault]") {
    queue events;
    mm::task<machine> pager;
    mm::task<machine> sleeper;
    pager.kill();
    CHECK(events.wait_event(pager, wait_mode::killable).error() == errc::interrupted);
    auto ticket = must_raise(events, sleeper, page_a);
    CHECK(events.wait_event(pager, wait_mode::killable)->sequence == 1);
    events.stop();
    CHECK(events.wait_event(pager, wait_mode::killable).error() == errc::interrupted);
    mm::task<machine> other;
    other.signal();
    CHECK(events.wait_event(other, wait_mode::interruptible).error() == errc::interrupted);
    CHECK(events.wait_event(other, wait_mode::killable).error() == errc::invalid_argument);
}

TEST_CASE("a killed waiter leaves without having been resolved", "[fault][userfault]") {
    queue events;
    mm::task<machine> sleeper;
    auto ticket = must_raise(events, sleeper, page_a);
    sleeper.signal();
    sleeper.kill();
    ticket.wait(wait_mode::killable);
    CHECK_FALSE(ticket.ready());
    ticket.reset();
    CHECK(events.counts().tickets == 0);
}

TEST_CASE("pager and faulting tasks on threads of their own: no event and no wake is lost",
          "[fault][userfault][threads]") {
    constexpr int sleepers = 3;
    constexpr int rounds = 300;
    queue events;
    std::atomic<int> woken{0};
    std::atomic<long> served{0};
    auto const pager = [&] {
        mm::task<machine> me;
        for (;;) {
            auto const event = events.wait_event(me, wait_mode::killable);
            if (!event) {
                if (event.error() != errc::invalid_argument) std::abort();
                return;
            }
            served.fetch_add(1);
            events.wake(page(event->address));
        }
    };
    std::vector<std::thread> pagers;
    for (int i = 0; i < 2; ++i) pagers.emplace_back(pager);
    std::vector<std::thread> threads;
    for (int i = 0; i < sleepers; ++i) {
        threads.emplace_back([&, i] {
            mm::task<machine> me;
            for (int round = 0; round < rounds; ++round) {
                auto ticket =
                    events.raise(me, virt_addr{page_a.value * static_cast<unsigned>(i + 1)}, {});
                if (!ticket) return;
                ticket->wait(wait_mode::uninterruptible);
                if (ticket->ready()) woken.fetch_add(1);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    events.stop();
    for (auto& thread : pagers) thread.join();
    CHECK(woken == sleepers * rounds);
    CHECK(served == sleepers * rounds);
    CHECK(events.counts() == mm::userfault_counts{0, 0, 0, sleepers * rounds});
}
