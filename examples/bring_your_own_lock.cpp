// SPDX-License-Identifier: BSL-1.0
// A lock of your own: it becomes an MmLock by having six functions, is judged by the laws that the
// library ships, and then guards an address space.

#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/laws/mm_lock.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <iostream>
#include <span>
#include <thread>
#include <vector>

using namespace mmhold;

/// First come, first served, in one word. Everybody draws a ticket; a reader gets in when all
/// before have got in, a writer when all before have left.
class ticket_lock {
public:
    bool try_lock_shared() {
        return try_draw([](tickets now) { return now.reads == now.next; }, {1, 1, 0});
    }
    bool try_lock() {
        return try_draw([](tickets now) { return now.writes == now.next; }, {1, 0, 0});
    }
    void lock_shared() {
        auto const mine = move_on({1, 0, 0}).next;
        wait_until([mine](tickets now) { return now.reads == mine; });
        move_on({0, 1, 0});
    }
    void lock() {
        auto const mine = move_on({1, 0, 0}).next;
        wait_until([mine](tickets now) { return now.writes == mine; });
    }
    void unlock_shared() { move_on({0, 0, 1}); }
    void unlock() { move_on({0, 1, 1}); }

private:
    struct tickets {
        std::uint16_t next{0};    // will be drawn next
        std::uint16_t reads{0};   // may read now
        std::uint16_t writes{0};  // may write now
        std::uint16_t unused{0};

        friend tickets operator+(tickets a, tickets b) {
            auto const sum = [](int x, int y) { return static_cast<std::uint16_t>(x + y); };
            return {sum(a.next, b.next), sum(a.reads, b.reads), sum(a.writes, b.writes)};
        }
    };

    template<class Turn>
    bool try_draw(Turn its_turn, tickets step) {
        auto now = now_.load();
        while (its_turn(now)) {
            if (now_.compare_exchange_weak(now, now + step)) return true;
        }
        return false;
    }
    /// Answers what it was before.
    tickets move_on(tickets step) {
        auto before = now_.load();
        while (!now_.compare_exchange_weak(before, before + step)) {}
        now_.notify_all();
        return before;
    }
    template<class Turn>
    void wait_until(Turn my_turn) {
        for (auto now = now_.load(); !my_turn(now); now = now_.load()) now_.wait(now);
    }

    std::atomic<tickets> now_{tickets{}};
};
static_assert(BlockingMmLock<ticket_lock>);

/// The same with a mistake in it.
struct forgetful_lock : ticket_lock {
    void unlock_shared() {}
};

/// Runs callables at the same time: what the second part of the laws asks for.
auto const in_threads = [](auto&&... actors) {
    std::vector<std::jthread> threads;
    (threads.emplace_back([&actors] { actors(); }), ...);
};

law_report tell(char const* what, law_report verdict) {
    std::cout << what << (verdict ? "all laws hold" : verdict.law);
    if (!verdict) std::cout << " is broken: " << verdict.failure;
    std::cout << "\n";
    return verdict;
}

struct config : default_config<host_machine> {
    using lock = ticket_lock;
};

constexpr unsigned rounds = 300;

/// One holds pages again and again, the other changes the layout: they meet at the lock.
std::uint64_t hold_while_the_layout_changes(address_space<config>& mm) {
    std::uint64_t held = 0;
    auto const hold = [&] {
        cpu me{mm.domain()};
        auto const start = mm.mmap(me, {.pages = page_count{3}});
        std::array<pfn, 3> pages{};
        for (unsigned round = 0; round < rounds; ++round) {
            auto const wanted = page_span::from(*start, page_count{pages.size()});
            auto const got = gup_unlocked(mm, me, *wanted, gup_flag::write, pages);
            pinned const mine{mm.frames(), std::span{pages}.first(got.pages), holding::reference};
            held += mine.size();
        }
    };
    auto const change = [&] {
        cpu me{mm.domain()};
        for (unsigned round = 0; round < rounds; ++round) {
            auto const start = mm.mmap(me, {.pages = page_count{8}});
            (void)mm.munmap(me, *page_span::from(*start, page_count{8}));
        }
    };
    in_threads(hold, change);
    return held;
}

int main() {
    ticket_lock lock;
    auto const alone = tell("ticket_lock, one caller:       ", mm_lock_laws(lock));
    auto const together = tell("ticket_lock, several at once:  ",
                               mm_lock_concurrent_laws<host_machine>(lock, in_threads, rounds));
    auto const broken = tell("forgetful_lock, one caller:    ", mm_lock_laws<forgetful_lock>());

    frame_pool<host_machine> frames{page_count{64}};
    config::tables tables{page_count{32}};
    config::reclaimer domain;
    address_space<config> mm{frames, tables, domain};
    auto const held = hold_while_the_layout_changes(mm);
    std::cout << "gup_unlocked under a ticket_lock: " << held << " pages held\n";
    return alone && together && !broken && held == 3 * rounds ? 0 : 1;
}
