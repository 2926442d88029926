// SPDX-License-Identifier: BSL-1.0
#pragma once

// The three cards as toys, so that gup can be tested against a script instead of an address space:
// each page is present or not, and for each fault the script says what the handler answers.
// Single-threaded.

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/walk/page_walker.hpp>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace mmhold_test {

namespace mm = mmhold;
using test_machine = mm::checked_host_machine;
using test_domain = mm::hazard_domain<test_machine>;
using test_cpu = mm::cpu<test_domain>;

/// A lock that can only be tried, and only for reading: all that gup needs. Knows whether it is held; refuses the next `refusals` tries;
/// kills a task on demand.
struct try_only_lock {
    int shared = 0;
    int refusals = 0;
    int taken = 0;  // how often it was taken
    int given = 0;
    std::function<void()> on_refusal{};

    bool try_lock_shared() {
        if (refusals > 0) {
            --refusals;
            if (on_refusal) on_refusal();
            return false;
        }
        ++shared, ++taken;
        return true;
    }
    void unlock_shared() { --shared, ++given; }
};

/// The waitable of a scripted RETRY: ready from the start, or after `wake()`.
struct scripted_wait : mm::waitable<test_machine> {
    explicit scripted_wait(mm::task<test_machine>& who)
        : waitable{who,
                   [](waitable& self) noexcept { delete static_cast<scripted_wait*>(&self); }} {}
};

/// The script: which pages are there, what each fault comes to.
struct scripted_pages {
    using lock_type = try_only_lock;
    using outcome = mm::fault_outcome<lock_type, test_machine>;
    enum class step {
        install,
        install_major,
        pending,
        retry_kept,
        retry,
        retry_and_stay_absent,
        retry_and_kill,
        retry_and_signal,
        complete,
        fail_bus,
        fail_oom,
        fail_poison
    };

    std::map<std::uint64_t, bool> absent{};       // page number → not there
    std::map<std::uint64_t, mm::errc> refused{};  // page number → what the vma says
    std::map<std::uint64_t, std::deque<step>> script{};
    std::uint64_t run = 1;  // consecutive pages one walk may answer
    std::vector<mm::fault_request> faults{};
    std::vector<mm::walk_request> walks{};
    std::vector<int> held_pages = std::vector<int>(64, 0);
    int lock_held_at_fault = 0;

    static mm::virt_addr address(std::uint64_t page) { return {0x10000 + page * mm::page_size}; }
    static std::uint64_t number(mm::virt_addr at) { return (at.value - 0x10000) / mm::page_size; }
    static mm::pfn frame(std::uint64_t page) { return {100 + page}; }
    static mm::page_span span(std::uint64_t count) {
        return *mm::page_span::from(address(0), mm::page_count{count});
    }
};

/// Asks for one entry per page; the word is 1 if the page is there.
struct scripted_walker {
    using witness = mm::held_shared<try_only_lock> const;
    scripted_pages& pages;

    struct cursor {
        mm::walk_request request{};
        mm::walk_answer end{};
        bool asking = false;
        std::optional<mm::entry_query> query() const {
            if (!asking) return std::nullopt;
            return mm::entry_query{mm::pfn{1},
                                   static_cast<unsigned>(scripted_pages::number(request.at)), 0};
        }
        mm::walk_answer answer() const { return end; }
        void forget() { asking = false; }
    };

    void seek(cursor& walk, mm::walk_request const& request, witness& held) {
        REQUIRE(held.holding());
        pages.walks.push_back(request);
        walk.request = request;
        auto const number = scripted_pages::number(request.at);
        if (auto const refusal = pages.refused.find(number); refusal != pages.refused.end()) {
            walk.end = mm::walk_answer::refuse(refusal->second);
            walk.asking = false;
        } else {
            walk.asking = true;
        }
    }
    void deliver(cursor& walk, std::uint64_t word, witness& held) {
        REQUIRE(held.holding());
        walk.asking = false;
        if (word == 0) {
            walk.end = mm::walk_answer::needs_fault(mm::fault_cause::missing_or_protected);
            return;
        }
        auto const number = scripted_pages::number(walk.request.at);
        auto const count = std::min(walk.request.max_pages, pages.run);
        for (std::uint64_t i = 0; i < count; ++i) ++pages.held_pages[number + i];
        walk.end = mm::walk_answer::found(scripted_pages::frame(number), count);
    }
    std::uint64_t read(mm::entry_query query) const { return pages.absent[query.index] ? 0 : 1; }
};

/// Answers each fault as the script says; without a script the page is installed.
struct scripted_handler {
    using machine = test_machine;
    using cpu_type = test_cpu;
    using step = scripted_pages::step;
    scripted_pages& pages;

    scripted_pages::outcome handle(mm::fault_request const& request,
                                   mm::lock_authority<try_only_lock>& authority, test_cpu& me) {
        REQUIRE(authority.held().holding());
        pages.faults.push_back(request);
        auto const number = scripted_pages::number(request.at);
        auto& script = pages.script[number];
        auto const next = script.empty() ? step::install : script.front();
        if (!script.empty()) script.pop_front();
        return answer(next, number, authority, me);
    }

private:
    scripted_pages::outcome answer(step next, std::uint64_t number,
                                   mm::lock_authority<try_only_lock>& authority, test_cpu& me) {
        using outcome = scripted_pages::outcome;
        switch (next) {
            case step::install: pages.absent[number] = false; return outcome::installed();
            case step::install_major:
                pages.absent[number] = false;
                return outcome::installed_major();
            case step::pending: return outcome::pending();
            case step::retry_kept: return outcome::retry_kept();
            case step::complete:
                pages.absent[number] = false;
                return drop(authority, me, outcome_kind::complete);
            case step::retry:
                pages.absent[number] = false;
                return drop(authority, me, outcome_kind::retry);
            case step::retry_and_stay_absent: return drop(authority, me, outcome_kind::retry);
            case step::retry_and_kill:
                me.current().kill();
                return drop(authority, me, outcome_kind::retry);
            case step::retry_and_signal:
                me.current().signal();
                return drop(authority, me, outcome_kind::retry);
            case step::fail_bus: return outcome::failed(mm::errc::bad_address);
            case step::fail_oom: return outcome::failed(mm::errc::no_memory);
            case step::fail_poison: return outcome::failed(mm::errc::hardware_poison);
        }
        return outcome::pending();
    }
    enum class outcome_kind { retry, complete };
    /// What handle_userfault does: without permission SIGBUS, else drop.
    static scripted_pages::outcome drop(mm::lock_authority<try_only_lock>& authority, test_cpu& me,
                                        outcome_kind kind) {
        using outcome = scripted_pages::outcome;
        auto permission = authority.permission();
        if (!permission) return outcome::failed(mm::errc::bad_address);
        auto proof = permission->drop();
        if (kind == outcome_kind::complete) return outcome::completed(std::move(proof));
        auto* const wait = new scripted_wait{me.current()};
        wait->resolve();
        return outcome::retry(std::move(proof), mm::wait_ticket<test_machine>{*wait});
    }
};

static_assert(mm::PageWalker<scripted_walker>);
static_assert(mm::FaultHandler<scripted_handler, try_only_lock>);

/// All of it, ready to call.
struct scripted_mm {
    scripted_pages pages{};
    try_only_lock lock{};
    scripted_walker walker{pages};
    scripted_handler handler{pages};
    test_domain domain{};
    test_cpu me{domain};
    mm::composition<try_only_lock, scripted_handler, scripted_walker> cards{
        mm::compose(lock, handler, walker)};

    void absent(std::uint64_t page, std::deque<scripted_pages::step> script = {}) {
        pages.absent[page] = true;
        pages.script[page] = std::move(script);
    }
    mm::held_shared<try_only_lock> hold() {
        return *mm::held_shared<try_only_lock>::try_acquire(lock);
    }
    /// Every page before `count` is held exactly once, none behind.
    bool held_exactly(std::uint64_t count) const {
        for (std::uint64_t i = 0; i < pages.held_pages.size(); ++i) {
            if (pages.held_pages[i] != (i < count ? 1 : 0)) return false;
        }
        return true;
    }
};

}  // namespace mmhold_test
