// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of fault/'s waiting parts – page_source, userfault_queue, wait_ticket, and the wait_line
// under both – and of the free list of a frame_pool. Whole faults: race_fault_scenarios.hpp.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/fault/page_source.hpp>
#include <mmhold/fault/userfault_queue.hpp>
#include <mmhold/fault/wait_line.hpp>
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/free_frames.hpp>

#include "race_parts.hpp"
#include "weak_machine.hpp"
#include <array>
#include <cstdint>
#include <optional>

namespace mmhold_test {

using namespace mmhold;

/// What a page_source asks of an address space: frames.
struct frames_only {
    using machine = model_machine;
    frame_pool<machine> pool{page_count{2}, frame_bytes::none, pfn{16}, pin_statistics::off};
    frame_pool<machine>& frames() { return pool; }
};

/// What a server does with a request.
enum class server_bug : std::uint8_t { none, forgets_the_request, closes_early };

/// A task fetches a page, a server brings it: nobody sleeps for ever, no frame is lost.
template<server_bug Bug>
struct fetched {
    using M = model_machine;
    static constexpr int actors = 2;
    frames_only space;
    page_source<frames_only> source{space};
    task<M> sleeper;
    task<M> server;
    vma area{.span = *page_span::from(virt_addr{0}, page_count{1})};
    fetched() {
        M::name(&sleeper, "sleeper");
        M::name(&server, "server");
    }
    void actor(int who) {
        if (who == 1) return serve();
        auto const page = source.fetch(sleeper, area, virt_addr{0}, frame_kind::anonymous,
                                       wait_mode::uninterruptible);
        M::expect(page.has_value(), "the page is there");
        if (page) space.pool.put(*page);
    }
    void serve() {
        if (Bug == server_bug::closes_early) source.close();
        auto const request = source.next_request(server, wait_mode::uninterruptible);
        if (!request || Bug == server_bug::forgets_the_request) return;
        (void)source.complete(*request, [](std::uint64_t, auto) {});
    }
    void finish() {
        M::expect(source.waiting() == 0, "nobody waits any more");
        M::expect(space.pool.statistics().free == 2, "no frame is lost");
    }
};

/// The task is killed meanwhile: the server is told that nobody is there, and takes its frame back.
struct killed_while_fetching : fetched<server_bug::none> {
    static constexpr int actors = 3;
    void actor(int who) {
        if (who == 2) return sleeper.kill();
        if (who == 1) {
            auto const request = source.try_next_request();
            if (request) (void)source.complete(*request, [](std::uint64_t, auto) {});
            return source.close();
        }
        auto const page =
            source.fetch(sleeper, area, virt_addr{0}, frame_kind::anonymous, wait_mode::killable);
        if (page) space.pool.put(*page);
    }
};

/// How a waitable is resolved, or waited for.
enum class ticket_bug : std::uint8_t {
    none,
    resolved_without_the_lock,  ///< touches a waitable that may be gone
    waited_once,                ///< sleeps after one look, without having been prepared
};

/// A ticket on a waitable that its owner may give back at any time.
template<ticket_bug Bug, Machine M = model_machine>
struct ticket_and_resolver {
    static constexpr int actors = 2;
    struct event : waitable<M> {
        ticket_and_resolver* in;
        event(task<M>& who, ticket_and_resolver& owner) : waitable<M>{who, &forget}, in{&owner} {}
        static void forget(waitable<M>& on) noexcept {
            auto& me = static_cast<event&>(on);
            auto& owner = *me.in;
            {
                spin_guard<model_machine> const held{owner.lock};
                owner.waiting.set(nullptr);
            }
            model_machine::destroy(&me);
        }
    };
    spin_lock<model_machine> lock;
    model_machine::plain<event*> waiting{nullptr};  // guarded by lock
    model_machine::plain<int> contents{0};

    void actor(int who) { who == 0 ? wait() : resolve(); }
    /// The task lives no longer than its wait.
    void wait() {
        auto* const sleeper = model_machine::create<task<M>>();
        wait_as(*sleeper);
        model_machine::destroy(sleeper);
    }
    void wait_as(task<M>& sleeper) {
        auto* const mine = model_machine::create<event>(sleeper, *this);
        wait_ticket<M> ticket{*mine};
        if (Bug != ticket_bug::waited_once) sleeper.prepare_to_wait();
        auto queued = false;
        {
            spin_guard<model_machine> const held{lock};
            queued = contents.get() == 0;
            if (queued) waiting.set(mine);
        }
        if (!queued) return;
        if (Bug == ticket_bug::waited_once) {
            sleeper.prepare_to_wait();
            sleeper.wait(wait_mode::uninterruptible);
        } else {
            ticket.wait(wait_mode::uninterruptible);
        }
        model_machine::expect(contents.get() == 1, "what resolved it is visible");
    }
    void resolve() {
        event* found = nullptr;
        {
            spin_guard<model_machine> const held{lock};
            contents.set(1);
            found = waiting.get();
            if (found != nullptr && Bug != ticket_bug::resolved_without_the_lock) found->resolve();
        }
        if (found != nullptr && Bug == ticket_bug::resolved_without_the_lock) found->resolve();
    }
};

/// A task looks at its ticket without sleeping, as an event-driven host does.
template<Machine M>
struct ticket_polled {
    static constexpr int actors = 2;
    struct event : waitable<M> {
        using waitable<M>::waitable;
        static void forget(waitable<M>&) noexcept {}
    };
    task<M> sleeper;
    event on{sleeper, &event::forget};
    model_machine::plain<int> contents{0};

    void actor(int who) {
        if (who == 1) {
            contents.set(1);
            return on.resolve();
        }
        if (wait_ticket<M>{on}.ready()) (void)contents.get();
    }
};

/// How pagers are told that there is nothing more.
enum class pager_end : std::uint8_t { stopped, not_told };

/// One event of a userfault queue: a pager reads it, wakes the task, and is told when it may go.
template<pager_end End>
struct raised_and_served {
    using M = model_machine;
    static constexpr int actors = 2;
    userfault_queue<M> queue;
    task<M> faulting;
    task<M> pager;
    bool served{false};

    void actor(int who) {
        if (who == 0) {
            auto ticket = queue.raise(faulting, virt_addr{0}, {});
            if (!ticket) return;
            ticket->wait(wait_mode::uninterruptible);
            ticket->reset();
            if (End == pager_end::stopped) queue.stop();
            return;
        }
        for (;;) {
            auto const event = queue.wait_event(pager, wait_mode::uninterruptible);
            if (!event) return;
            served = queue.wake(*page_span::from(event->address, page_count{1})) == 1;
        }
    }
    void finish() {
        M::expect(served, "the event was read once");
        M::expect(queue.counts().tickets == 0, "no ticket is left");
    }
};

/// How the free list of a pool is guarded.
enum class free_list_bug : std::uint8_t { none, taken_without_the_lock };

/// Two cpus take and give frames of different sizes: the list stays whole. The list itself has no
/// lock; its pool has.
template<free_list_bug Bug>
struct shared_free_list {
    using M = model_machine;
    static constexpr int actors = 2;
    std::array<detail::frame<M>, 4> frames{};
    detail::free_frames<M> list{frames.data(), 16, 4};
    spin_lock<M> lock;
    std::array<std::uint32_t, 2> got{};

    // Whether it locks is the point; the analysis wants every path alike.
    void actor(int who) MMHOLD_NO_THREAD_SAFETY_ANALYSIS {
        auto const order = static_cast<unsigned>(who);
        if (Bug == free_list_bug::none || who == 0) lock.lock();
        got[order] = list.take(order);
        if (Bug == free_list_bug::none || who == 0) lock.unlock();
        if (got[order] == detail::no_frame) return;
        spin_guard<M> const held{lock};
        list.give(got[order], order);
    }
    void finish() {
        M::expect(got[0] < 4 && got[1] < 4 && got[1] % 2 == 0, "both were served");
        M::expect(list.take(2) == 0, "everything was joined again");
    }
};

inline void add_pager_scenarios(scenario_book& book) {
    book.add<fetched<server_bug::none>>("page_source.fetch", "a task fetches, a server brings");
    book.add_mutant<fetched<server_bug::forgets_the_request>>(
        "page_source.fetch", "forgets_the_request", "takes a request and does not answer");
    book.add_mutant<fetched<server_bug::closes_early>>("page_source.fetch", "closes_early",
                                                       "goes away before it has served");
    book.add<killed_while_fetching>("page_source.killed", "killed while the page is on its way",
                                    reach::tso_only);
    book.add<ticket_and_resolver<ticket_bug::none>>("wait_ticket.resolved", "wait against resolve");
    book.add_mutant<ticket_and_resolver<ticket_bug::resolved_without_the_lock>>(
        "wait_ticket.resolved", "resolved_without_the_lock", "touches a waitable that may be gone");
    book.add_mutant<ticket_and_resolver<ticket_bug::waited_once>>(
        "wait_ticket.resolved", "prepared_late", "forgets the wake before it sleeps");
    book.add<ticket_polled<model_machine>>("wait_ticket.polled", "ready() instead of a wait");
    book.add_mutant<ticket_polled<machine_without<"ticket.ready">>>(
        "wait_ticket.polled", "ready_relaxed", "does not see what resolved it");
    book.add_mutant<ticket_polled<machine_without<"ticket.resolve">>>(
        "wait_ticket.polled", "resolve_relaxed", "does not publish what resolved it");
    book.add<raised_and_served<pager_end::stopped>>("userfault_queue.served",
                                                    "raise, read, wake, stop", reach::tso_only);
    book.add_mutant<raised_and_served<pager_end::not_told>>(
        "userfault_queue.served", "pager_not_told", "leaves its pager waiting");
    book.add<shared_free_list<free_list_bug::none>>("free_frames.two", "two sizes, one list");
    book.add_mutant<shared_free_list<free_list_bug::taken_without_the_lock>>(
        "free_frames.two", "taken_without_the_lock", "takes a frame without the pool's lock");
}

}  // namespace mmhold_test
