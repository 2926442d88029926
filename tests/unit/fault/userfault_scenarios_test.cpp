// SPDX-License-Identifier: BSL-1.0
//
// gup-semantics §8.4: three pages, A present, B missing and left to a userfault, C present. A
// reader in the role of process_vm_readv (gup_unlocked, then a look at the bytes) is blocked on
// B; meanwhile somebody does something. Measured on a running Linux; here with the library.
#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/pinned.hpp>

#include "unit/fault/fault_world.hpp"
#include <array>
#include <optional>
#include <string>
#include <thread>

using namespace mmhold_test;
using mm::errc;
using mm::gup_result;
using mm::gup_stop;
using mm::lock_fate;
using userfault = mm::userfault<fault_space>;

namespace {

/// The three pages and the reader.
struct scenario : fault_world {
    userfault pager;
    mm::virt_addr at;
    std::array<mm::pfn, 3> pages{};
    std::optional<gup_result> answer{};
    std::string bytes{};  ///< the first byte of each page held
    std::thread reader{};
    mm::task<counting_machine> reader_task{};

    scenario() : fault_world{64}, pager{space}, at{map(0, 3)} {
        put(0, 'a');
        put(2, 'c');
        REQUIRE(pager.register_range(me, span(1, 1)).has_value());
    }
    ~scenario() {
        if (reader.joinable()) {
            (void)pager.close(me);
            reader.join();
        }
        (void)pager.close(me);
    }

    /// Faults page `n` in and writes to it, as the owner would.
    void put(std::uint64_t n, char content) {
        mm::dispatch<fault_space> faults{space};
        touch(faults, page(n), flags::write | flags::user);
        first_byte(entry(page(n)).target) = static_cast<std::byte>(content);
    }
    mm::userfault_filled resolve(char content) {
        auto const fill = [content](std::uint64_t, std::span<std::byte> to) {
            to[0] = static_cast<std::byte>(content);
        };
        return pager.copy_with(me, span(1, 1), fill);
    }

    /// Starts the reader and waits until it is blocked: its event.
    mm::userfault_event block_reader(mm::gup_flags how = {}) {
        reader = std::thread{[this, how] {
            fault_cpu cpu{domain};
            cpu.run(reader_task);
            answer = mm::gup_unlocked(space, cpu, span(0, 3), how, pages);
            for (std::uint64_t n = 0; n < answer->pages; ++n) {
                auto const first = static_cast<char>(first_byte(pages[n]));
                bytes += first == '\0' ? '0' : first;
            }
            mm::pinned held{frames, std::span<mm::pfn const>{pages}.first(answer->pages),
                            mm::holding::reference};
        }};
        auto const event = next_event();
        REQUIRE(event.has_value());
        return *event;
    }
    mm::result<mm::userfault_event> next_event() {
        return pager.wait_event(me.current(), mm::wait_mode::killable);
    }
    /// The reader sleeps, holding no lock: a writer gets in at once.
    void must_be_asleep() {
        auto const writer = mm::held_exclusive<fault_lock>::acquire(space.lock());
        CHECK(writer.holding());
        CHECK(pager.counts().waiting == 1);
    }
    gup_result finish() {
        reader.join();
        return *answer;
    }
};

constexpr gup_result all_three{3, gup_stop::complete, errc::ok, lock_fate::never_held};
constexpr gup_result refused_after(std::uint64_t pages) {
    return {pages, gup_stop::error, errc::bad_address, lock_fate::never_held};
}

}  // namespace

TEST_CASE("8.4: UFFDIO_COPY of B: all bytes", "[fault][userfault][threads]") {
    scenario world;
    auto const event = world.block_reader();
    CHECK(event.address == world.page(1));
    CHECK(event.flags == mm::userfault_event_flags{});
    world.must_be_asleep();
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "abc");
    CHECK(world.pager.counts().raised == 1);
}

TEST_CASE("8.4: a write fault is an event with the flag WRITE", "[fault][userfault][threads]") {
    scenario world;
    auto const event = world.block_reader(mm::gup_flag::write);
    CHECK(event.flags == mm::userfault_event_flags{mm::userfault_event_flag::write});
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "abc");
}

TEST_CASE("8.4: UFFDIO_UNREGISTER: B is zero-filled", "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    REQUIRE(world.pager.unregister_range(world.me, world.span(1, 1)).has_value());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "a0c");
}

TEST_CASE("8.4: close: B is zero-filled", "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    REQUIRE(world.pager.close(world.me).has_value());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "a0c");
}

TEST_CASE("8.4: munmap of B: asleep until the wake, then only A", "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    REQUIRE(world.space.munmap(world.me, world.span(1, 1)).has_value());
    world.must_be_asleep();
    CHECK(world.pager.wake(world.span(1, 1)).value_or(0) == 1);
    CHECK(world.finish() == refused_after(1));
    CHECK(world.bytes == "a");
}

TEST_CASE("8.4: mprotect of B to nothing, then wake or copy: only A",
          "[fault][userfault][threads]") {
    for (auto const copies : {false, true}) {
        scenario world;
        world.block_reader();
        REQUIRE(world.space.mprotect(world.me, world.span(1, 1), mm::prot::none).has_value());
        world.must_be_asleep();
        if (copies) {
            CHECK(world.resolve('b').complete());
        } else {
            CHECK(world.pager.wake(world.span(1, 1)).has_value());
        }
        CHECK(world.finish() == refused_after(1));
        CHECK(world.bytes == "a");
    }
}

TEST_CASE("8.4: munmap of C, then copy of B: A and B", "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    REQUIRE(world.space.munmap(world.me, world.span(2, 1)).has_value());
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == refused_after(2));
    CHECK(world.bytes == "ab");
}

TEST_CASE("8.4: MADV_DONTNEED of A, then copy of B: A's old bytes", "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    REQUIRE(world.space.dontneed(world.me, world.span(0, 1)).has_value());
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "abc");
    CHECK(world.entry(world.page(0)).none());
}

TEST_CASE("8.4: a fresh mapping over A, then copy of B: A's old bytes",
          "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    world.map(0, 1);
    world.put(0, 'x');
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "abc");
}

TEST_CASE("8.4: a fresh mapping over B: asleep until the wake, then its content",
          "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    world.map(1, 1);
    world.put(1, 'n');
    world.must_be_asleep();
    CHECK(world.pager.wake(world.span(1, 1)).value_or(0) == 1);
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "anc");
}

TEST_CASE("8.4: a wake without a page: a second, identical event, any number of times",
          "[fault][userfault][threads]") {
    scenario world;
    auto const first = world.block_reader();
    for (std::uint64_t n = 2; n <= 5; ++n) {
        CHECK(world.pager.wake(world.span(1, 1)).value_or(0) == 1);
        auto const next = world.next_event();
        REQUIRE(next.has_value());
        CHECK(next->address == first.address);
        CHECK(next->flags == first.flags);
        CHECK(next->sequence == n);
    }
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == all_three);
    CHECK(world.bytes == "abc");
}

TEST_CASE("8.4: an ordinary signal changes nothing until the page is there",
          "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    world.reader_task.signal();
    world.must_be_asleep();
    CHECK_FALSE(world.pager.read_event());
    CHECK(world.resolve('b').complete());
    CHECK(world.finish() == all_three);
    CHECK(world.reader_task.signal_pending(mm::wait_mode::interruptible));
}

TEST_CASE("8.4: a fatal signal ends it at once, with the page it has",
          "[fault][userfault][threads]") {
    scenario world;
    world.block_reader();
    world.reader_task.kill();
    CHECK(world.finish() ==
          gup_result{1, gup_stop::error, errc::interrupted, lock_fate::never_held});
    CHECK(world.pager.counts().tickets == 0);
    CHECK(world.frames.ref_count(world.entry(world.page(0)).target) == 1);
}

TEST_CASE("8.4: FOLL_INTERRUPTIBLE: an ordinary signal ends it too",
          "[fault][userfault][threads]") {
    scenario world;
    world.block_reader(mm::gup_flag::interruptible);
    world.reader_task.signal();
    CHECK(world.finish() ==
          gup_result{1, gup_stop::error, errc::interrupted, lock_fate::never_held});
}

TEST_CASE("8.4: two readers on one page are two events, one copy ends both",
          "[fault][userfault][threads]") {
    scenario world;
    auto const first = world.block_reader();
    std::array<mm::pfn, 1> other{};
    std::optional<gup_result> second;
    std::thread another{[&] {
        fault_cpu cpu{world.domain};
        second = mm::gup_unlocked(world.space, cpu, world.span(1, 1), {}, other);
    }};
    auto const event = world.next_event();
    REQUIRE(event.has_value());
    CHECK(event->address == first.address);
    CHECK(event->sequence == 2);
    CHECK(world.resolve('b').complete());
    another.join();
    CHECK(world.finish() == all_three);
    CHECK(second->complete());
    CHECK(other[0] == world.pages[1]);
    world.frames.put(other[0]);
}

TEST_CASE("8.2: gup, which keeps the lock, gets EFAULT at once", "[fault][userfault]") {
    scenario world;
    auto const held = world.hold();
    CHECK(mm::gup(world.space, world.me, held, world.span(0, 3), {}, world.pages) ==
          gup_result{1, gup_stop::error, errc::bad_address, lock_fate::kept});
    world.frames.put(world.pages[0]);
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("8.2: gup_unlocked with NOWAIT: short, no event", "[fault][userfault]") {
    scenario world;
    auto const got = mm::gup_unlocked(world.space, world.me, world.span(0, 3), mm::gup_flag::nowait,
                                      world.pages);
    CHECK(got == gup_result{1, gup_stop::would_wait, errc::ok, lock_fate::never_held});
    world.frames.put(world.pages[0]);
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("8.2: features SIGBUS and USER_MODE_ONLY: gup gets EFAULT", "[fault][userfault]") {
    for (auto const feature :
         {mm::userfault_feature::sigbus, mm::userfault_feature::user_mode_only}) {
        scenario world;
        REQUIRE(world.pager.unregister_range(world.me, world.span(1, 1)).has_value());
        userfault strict{world.space, feature};
        REQUIRE(strict.register_range(world.me, world.span(1, 1)).has_value());
        CHECK(mm::gup_unlocked(world.space, world.me, world.span(0, 3), {}, world.pages) ==
              refused_after(1));
        world.frames.put(world.pages[0]);
        REQUIRE(strict.close(world.me).has_value());
    }
}

TEST_CASE("8.2: gup_fast falls back, waits without the lock, and gets all",
          "[fault][userfault][threads]") {
    scenario world;
    std::optional<gup_result> got;
    std::thread reader{[&] {
        fault_cpu cpu{world.domain};
        got = mm::pin_fast(world.space, cpu, world.span(0, 3), mm::gup_flag::write, world.pages);
        for (auto const page : world.pages) world.frames.unpin(page);
    }};
    auto const event = world.next_event();
    REQUIRE(event.has_value());
    CHECK(event->flags.has(mm::userfault_event_flag::write));
    world.must_be_asleep();
    CHECK(world.resolve('b').complete());
    reader.join();
    CHECK(*got == all_three);
}

TEST_CASE("rfc_2014: the second userfault of one page is EFAULT", "[fault][userfault][threads]") {
    scenario world;
    std::optional<gup_result> got;
    std::thread reader{[&] {
        fault_cpu cpu{world.domain};
        got = mm::gup_unlocked<mm::rfc_2014>(world.space, cpu, world.span(0, 3), {}, world.pages);
        world.frames.put(world.pages[0]);
    }};
    REQUIRE(world.next_event().has_value());
    CHECK(world.pager.wake(world.span(1, 1)).value_or(0) == 1);
    reader.join();
    CHECK(*got == refused_after(1));
    CHECK(world.pager.counts().raised == 1);
}

TEST_CASE("8.6: accounting: a page that the pager supplied is no fault of the reader's",
          "[fault][userfault][threads]") {
    scenario world;
    std::optional<mm::cpu_statistics> seen;
    std::thread reader{[&] {
        fault_cpu cpu{world.domain};
        auto const got = mm::gup_unlocked(world.space, cpu, world.span(0, 3), {}, world.pages);
        for (std::uint64_t n = 0; n < got.pages; ++n) world.frames.put(world.pages[n]);
        seen = cpu.stats();
    }};
    REQUIRE(world.next_event().has_value());
    CHECK(world.resolve('b').complete());
    reader.join();
    CHECK(seen->faults == 0);
    CHECK(seen->fault_retries == 1);
    CHECK(seen->lock_drops == 1);
    CHECK(seen->slow_pages == 3);
}

TEST_CASE("8.6: accounting: untouched pages are one fault each, present and zero pages none",
          "[fault][accounting]") {
    fault_world world;
    world.map(0, 4);
    std::array<mm::pfn, 4> pages{};
    auto const faults_of = [&](mm::gup_flags how) {
        auto const before = world.me.stats().faults;
        auto const got = mm::gup_unlocked(world.space, world.me, world.span(0, 4), how, pages);
        REQUIRE(got.complete());
        for (auto const page : pages) world.frames.put(page);
        return world.me.stats().faults - before;
    };
    CHECK(faults_of({}) == 4);
    CHECK(faults_of({}) == 0);
    CHECK(faults_of(mm::gup_flag::write) == 4);  // zero pages, copied
    CHECK(faults_of(mm::gup_flag::write) == 0);
}

TEST_CASE("two simulated cpus on one thread: one waits for the other's page",
          "[fault][userfault]") {
    // No thread blocks: cpu B is asked, in turns, by an event loop; cpu A is the pager.
    scenario world;
    fault_cpu b{world.domain};
    mm::gup_parts<fault_space> parts{world.space, b};
    auto const& mm_of_b = parts.composed();
    using walker = std::remove_cvref_t<decltype(mm_of_b)>::walker_type;
    mm::gup_call const call{world.span(0, 3),
                            {mm::gup_flag::get, mm::gup_flag::unlockable},
                            mm::holding::reference,
                            world.pages,
                            mm::lock_entry::own};
    mm::gup_operation<walker, fault_lock, counting_machine, mm::linux_6_18> op{mm_of_b.walker, call,
                                                                               b.current()};
    std::optional<shared_hold> lock;
    int idle_turns = 0;
    using kind = mm::gup_need::kind;
    while (op.need().what != kind::done) {
        switch (op.need().what) {
            case kind::take_lock:
                lock = shared_hold::try_acquire(world.space.lock());
                if (lock) op.lock_taken(*lock);
                break;
            case kind::read_entry: op.deliver(mm_of_b.walker.read(op.need().entry), *lock); break;
            case kind::resolve_fault: {
                auto may = authority::may_drop(mm::may_drop(*lock));
                op.fault_answered(mm_of_b.handler.handle(op.need().fault, may, b), *lock);
                break;
            }
            case kind::wait:
                if (op.ticket().ready()) {
                    op.waited();
                } else if (++idle_turns == 3) {  // now the pager's turn
                    REQUIRE(world.pager.read_event().has_value());
                    CHECK(world.resolve('b').complete());
                }
                break;
            case kind::give_lock:
                lock.reset();
                op.lock_given();
                break;
            case kind::start:
            case kind::done: break;
        }
    }
    CHECK(op.result() == all_three);
    CHECK(idle_turns == 3);
    for (auto const page : world.pages) world.frames.put(page);
}
