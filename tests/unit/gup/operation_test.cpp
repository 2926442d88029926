// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/scripted_mm.hpp"
#include <mmhold/gup/operation.hpp>

#include <array>

using namespace mmhold_test;
using mm::errc;
using mm::gup_call;
using mm::gup_flag;
using mm::gup_need;
using mm::gup_stop;
using mm::lock_fate;
using step = scripted_pages::step;
using kind = gup_need::kind;
using operation = mm::gup_operation<scripted_walker, try_only_lock, test_machine, mm::linux_6_18>;
using held = mm::held_shared<try_only_lock>;
using authority = mm::lock_authority<try_only_lock>;

namespace {

gup_call unlocked_call(std::uint64_t pages, std::span<mm::pfn> out) {
    return {scripted_pages::span(pages),
            {gup_flag::get, gup_flag::touch, gup_flag::unlockable},
            mm::holding::reference,
            out,
            mm::lock_entry::own};
}

}  // namespace

TEST_CASE("gup_unlocked as values: try-only lock, pending three times, entries delivered late",
          "[gup]") {
    // A host without threads: every need is answered on some later tick of one event loop.
    scripted_mm host;
    host.absent(1, {step::pending, step::pending, step::pending, step::retry});
    host.lock.refusals = 2;
    std::array<mm::pfn, 3> out{};
    operation op{host.walker, unlocked_call(3, out), host.me.current()};

    std::optional<held> lock;
    struct {
        bool busy = false;
        int ticks_left = 0;
        std::uint64_t word = 0;
    } bus;
    int ticks = 0;
    int lock_tries = 0;
    int fault_tries = 0;
    int deliveries = 0;
    while (op.need().what != kind::done && ++ticks < 1000) {
        switch (op.need().what) {
            case kind::take_lock:
                ++lock_tries;
                lock = held::try_acquire(host.lock);
                if (lock) op.lock_taken(*lock);
                break;
            case kind::read_entry:
                if (!bus.busy) bus = {true, 3, host.walker.read(op.need().entry)};
                if (bus.ticks_left-- == 0) {
                    bus.busy = false;
                    ++deliveries;
                    op.deliver(bus.word, *lock);
                }
                break;
            case kind::resolve_fault: {
                ++fault_tries;
                auto may_drop = authority::may_drop(mm::may_drop(*lock));
                op.fault_answered(host.handler.handle(op.need().fault, may_drop, host.me), *lock);
                break;
            }
            case kind::wait:
                if (op.ticket().ready()) op.waited();
                break;
            case kind::give_lock:
                lock.reset();
                op.lock_given();
                break;
            case kind::start:
            case kind::done: break;
        }
    }
    CHECK(op.result() == mm::gup_result{3, gup_stop::complete, errc::ok, lock_fate::never_held});
    CHECK(out ==
          std::array{scripted_pages::frame(0), scripted_pages::frame(1), scripted_pages::frame(2)});
    CHECK(fault_tries == 4);
    CHECK(lock_tries == 4);  // two refusals, the first taking, one relock after the drop
    CHECK(deliveries == 4);  // page 0, page 1 absent, page 1 again, page 2
    CHECK(ticks > 12);
    CHECK(host.lock.shared == 0);
    CHECK(host.lock.taken == host.lock.given);
    CHECK(op.account().lock_drops == 1);
    CHECK(op.account().retries == 1);
}

TEST_CASE("2.4 step 1: no pages asked for is 0 before anything is looked at", "[gup]") {
    scripted_mm host;
    operation op{host.walker, unlocked_call(0, {}), host.me.current()};
    CHECK(op.need().what == kind::done);
    CHECK(op.result().pages == 0);
    CHECK(op.result().complete());
    CHECK(host.pages.walks.empty());
    CHECK(host.lock.taken == 0);
}

TEST_CASE("2.4 step 2: the first taking of the lock is killable, and its interruption is EAGAIN",
          "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    operation op{host.walker, unlocked_call(1, out), host.me.current()};
    REQUIRE(op.need().what == kind::take_lock);
    CHECK(op.need().mode == mm::wait_mode::killable);
    op.lock_interrupted();
    CHECK(op.need().what == kind::done);
    CHECK(op.result() == mm::gup_result{0, gup_stop::error, errc::again, lock_fate::never_held});
    CHECK(to_linux(op.result()) == -11);
}

TEST_CASE("2.4 step 6: the relock is killable, and its interruption is EINTR with the lock not held",
    "[gup]") {
    scripted_mm host;
    host.absent(0, {step::retry});
    std::array<mm::pfn, 2> out{};
    operation op{host.walker, unlocked_call(2, out), host.me.current()};
    auto lock = std::optional{host.hold()};
    op.lock_taken(*lock);
    op.deliver(host.walker.read(op.need().entry), *lock);
    REQUIRE(op.need().what == kind::resolve_fault);
    auto may_drop = authority::may_drop(mm::may_drop(*lock));
    op.fault_answered(host.handler.handle(op.need().fault, may_drop, host.me), *lock);
    REQUIRE(op.need().what == kind::take_lock);
    CHECK(op.need().mode == mm::wait_mode::killable);
    op.lock_interrupted();
    CHECK(op.result() ==
          mm::gup_result{0, gup_stop::error, errc::interrupted, lock_fate::never_held});
    CHECK(host.lock.shared == 0);
}

TEST_CASE("an output that is too short is refused before the lock is taken", "[gup][bad-input]") {
    scripted_mm host;
    std::array<mm::pfn, 2> out{};
    operation op{host.walker, unlocked_call(3, out), host.me.current()};
    CHECK(op.need().what == kind::done);
    CHECK(op.result().error == errc::invalid_argument);
    CHECK(host.lock.taken == 0);
}

TEST_CASE("a witness that no longer holds is lock_not_held", "[gup][bad-input]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    auto call = unlocked_call(1, out);
    call.entry = mm::lock_entry::held_by_caller;
    operation op{host.walker, call, host.me.current()};
    REQUIRE(op.need().what == kind::start);
    auto lock = host.hold();
    (void)lock.give_up();
    op.start(lock);
    CHECK(op.result().error == errc::lock_not_held);
    CHECK(host.pages.walks.empty());
}

TEST_CASE("the ticket is handed out while the operation waits and gone afterwards", "[gup]") {
    scripted_mm host;
    host.absent(0);
    std::array<mm::pfn, 1> out{};
    operation op{host.walker, unlocked_call(1, out), host.me.current()};
    auto lock = std::optional{host.hold()};
    op.lock_taken(*lock);
    op.deliver(0, *lock);
    auto* const reason = new scripted_wait{host.me.current()};
    op.fault_answered(
        scripted_pages::outcome::retry(lock->give_up(), mm::wait_ticket<test_machine>{*reason}),
        *lock);
    REQUIRE(op.need().what == kind::wait);
    CHECK(op.need().mode == mm::wait_mode::killable);
    CHECK_FALSE(op.ticket().ready());
    reason->resolve();
    CHECK(op.ticket().ready());
    op.waited();  // frees the waitable; a leak checker would say if not
    CHECK(op.need().what == kind::take_lock);
    CHECK(op.ticket().ready());
}
