// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/scripted_mm.hpp"
#include <mmhold/gup/gup.hpp>

#include <array>

using namespace mmhold_test;
using mm::errc;
using mm::fault_flag;
using mm::gup_flag;
using mm::gup_flags;
using mm::gup_result;
using mm::gup_stop;
using mm::holding;
using mm::lock_fate;
using step = scripted_pages::step;

namespace {

gup_result unlocked(scripted_mm& host, std::uint64_t pages, std::span<mm::pfn> out,
                    gup_flags flags = {}) {
    return mm::gup_unlocked(host.cards, host.me, scripted_pages::span(pages), flags, out);
}

bool numbered(std::span<mm::pfn const> out, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        if (out[i] != scripted_pages::frame(i)) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("1.1 gup: entered and left with the lock held, adds TOUCH", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 3> out{};
    auto const lock = host.hold();
    auto const got =
        mm::gup(host.cards, host.me, lock, scripted_pages::span(3), gup_flag::write, out);
    CHECK(got == gup_result{3, gup_stop::complete, errc::ok, lock_fate::kept});
    CHECK(numbered(out, 3));
    CHECK(lock.holding());
    CHECK(host.pages.walks.at(0).flags ==
          gup_flags{gup_flag::write, gup_flag::touch, gup_flag::get});
    CHECK(host.held_exactly(3));
}

TEST_CASE("1.1 pin: adds PIN and no TOUCH", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    auto const lock = host.hold();
    auto const got = mm::pin(host.cards, host.me, lock, scripted_pages::span(1), {}, out);
    CHECK(got.complete());
    CHECK(host.pages.walks.at(0).flags == gup_flags{gup_flag::pin});
    CHECK(host.pages.walks.at(0).how == holding::pin);
}

TEST_CASE("1.1 gup: a userfault is EFAULT at once, the lock stays", "[gup]") {
    scripted_mm host;
    host.absent(1, {step::retry});
    std::array<mm::pfn, 3> out{};
    auto const lock = host.hold();
    auto const got = mm::gup(host.cards, host.me, lock, scripted_pages::span(3), {}, out);
    CHECK(got == gup_result{1, gup_stop::error, errc::bad_address, lock_fate::kept});
    CHECK(to_linux(got) == 1);
    CHECK_FALSE(host.pages.faults.at(0).flags.has(fault_flag::allow_retry));
    CHECK(lock.holding());
    CHECK(host.lock.taken == 1);
}

TEST_CASE("1.1 gup_locked: kept if nothing had to wait, lost if something had", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 3> out{};
    auto lock = host.hold();
    auto got =
        mm::gup_locked(host.cards, host.me, mm::may_drop(lock), scripted_pages::span(3), {}, out);
    CHECK(got == gup_result{3, gup_stop::complete, errc::ok, lock_fate::kept});
    CHECK(lock.holding());
    CHECK(to_linux_locked(got.lock) == 1);

    host.absent(1, {step::retry});
    got = mm::gup_locked(host.cards, host.me, mm::may_drop(lock), scripted_pages::span(3), {}, out);
    CHECK(got == gup_result{3, gup_stop::complete, errc::ok, lock_fate::lost});
    CHECK(numbered(out, 3));
    CHECK_FALSE(lock.holding());
    CHECK(to_linux_locked(got.lock) == 0);
    CHECK(host.lock.shared == 0);
}

TEST_CASE("1.1 gup_unlocked and pin_unlocked: the lock is free before and after", "[gup]") {
    scripted_mm host;
    host.absent(0, {step::install});
    std::array<mm::pfn, 2> out{};
    CHECK(unlocked(host, 2, out) ==
          gup_result{2, gup_stop::complete, errc::ok, lock_fate::never_held});
    CHECK(host.lock.taken == 1);
    CHECK(host.lock.shared == 0);
    auto const pinned = mm::pin_unlocked(host.cards, host.me, scripted_pages::span(2), {}, out);
    CHECK(pinned.complete());
    CHECK(host.pages.walks.back().flags ==
          gup_flags{gup_flag::pin, gup_flag::touch, gup_flag::unlockable});
}

TEST_CASE("1.1 argument validation: get_* says EINVAL, pin_* says 0", "[gup][bad-input]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    auto const span = scripted_pages::span(1);
    auto const lock = host.hold();
    for (auto const flags :
         {gup_flags{gup_flag::tried}, gup_flags{gup_flag::longterm, gup_flag::pci_p2pdma},
          gup_flags{gup_flag::unlockable}}) {
        auto const got = mm::gup(host.cards, host.me, lock, span, flags, out);
        CHECK(to_linux(got) == -22);
        CHECK(got.lock == lock_fate::kept);
        auto const pinned = mm::pin(host.cards, host.me, lock, span, flags, out);
        CHECK(to_linux(pinned) == 0);
        CHECK(pinned.stop == gup_stop::bad_pin_arguments);
        CHECK(pinned.error == errc::invalid_argument);
    }
    CHECK(to_linux(mm::gup(host.cards, host.me, lock, span, gup_flag::longterm, out)) == -22);
    CHECK(to_linux(mm::pin(host.cards, host.me, lock, span, gup_flag::get, out)) == 0);
    CHECK(to_linux(mm::gup(host.cards, host.me, lock, span, gup_flag::get, mm::no_pages)) == -22);
    CHECK(host.pages.walks.empty());
}

TEST_CASE("1.2 rule 1: no pages asked for is 0", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    CHECK(to_linux(unlocked(host, 0, out)) == 0);
    CHECK(host.lock.taken == 0);
}

TEST_CASE("1.2 rule 2: an error on a later page is lost to Linux, not to us", "[gup]") {
    scripted_mm host;
    host.pages.refused[2] = errc::bad_address;
    std::array<mm::pfn, 4> out{};
    auto const got = unlocked(host, 4, out);
    CHECK(to_linux(got) == 2);
    CHECK(got.stop == gup_stop::error);
    CHECK(got.error == errc::bad_address);
    CHECK(host.held_exactly(2));
    host.pages.refused[0] = errc::bad_address;
    CHECK(to_linux(unlocked(host, 4, out)) == -14);
}

TEST_CASE("1.2 rule 3: 0 without an error only under NOWAIT", "[gup]") {
    scripted_mm host;
    host.absent(0, {step::retry_kept, step::retry_kept});
    std::array<mm::pfn, 2> out{};
    auto const lock = host.hold();
    auto const got =
        mm::gup(host.cards, host.me, lock, scripted_pages::span(2), gup_flag::nowait, out);
    CHECK(got == gup_result{0, gup_stop::would_wait, errc::ok, lock_fate::kept});
    CHECK(to_linux(got) == 0);
    // 2.4 step 8: anybody else who would see 0 gets EFAULT.
    CHECK(to_linux(mm::gup(host.cards, host.me, lock, scripted_pages::span(2), {}, out)) == -14);
}

TEST_CASE("1.2 rule 5: no_pages faults in and holds nothing", "[gup]") {
    scripted_mm host;
    host.absent(0, {step::retry});
    host.absent(1);
    auto const got =
        mm::gup_unlocked(host.cards, host.me, scripted_pages::span(3), {}, mm::no_pages);
    CHECK(got.pages == 3);
    CHECK(host.pages.walks.at(0).how == holding::none);
}

TEST_CASE("1.2 errno: NOFAULT, OOM, SIGBUS, poison", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    host.absent(0);
    CHECK(to_linux(unlocked(host, 1, out, gup_flag::nofault)) == -14);
    CHECK(host.pages.faults.empty());
    host.absent(0, {step::fail_oom, step::fail_bus, step::fail_poison, step::fail_poison});
    CHECK(to_linux(unlocked(host, 1, out)) == -12);
    CHECK(to_linux(unlocked(host, 1, out)) == -14);
    CHECK(to_linux(unlocked(host, 1, out)) == -14);
    CHECK(to_linux(unlocked(host, 1, out, gup_flag::hwpoison)) == -133);
}

TEST_CASE("2.1 installed, major, completed: walk again, the lock is where the outcome says",
          "[gup]") {
    scripted_mm host;
    host.absent(0, {step::install_major});
    host.absent(1, {step::complete});
    std::array<mm::pfn, 3> out{};
    auto lock = host.hold();
    auto const got =
        mm::gup_locked(host.cards, host.me, mm::may_drop(lock), scripted_pages::span(3), {}, out);
    CHECK(got == gup_result{3, gup_stop::complete, errc::ok, lock_fate::lost});
    CHECK(host.pages.faults.size() == 2);
    CHECK(host.held_exactly(3));
    CHECK(host.lock.shared == 0);
}

TEST_CASE("2.2 faultin: the fault flags of each gup flag", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    auto const flags_of = [&](gup_flags flags) {
        host.absent(0);
        host.pages.faults.clear();
        (void)unlocked(host, 1, out, flags);
        return host.pages.faults.at(0).flags;
    };
    using mm::fault_flags;
    CHECK(flags_of({}) == fault_flags{fault_flag::allow_retry, fault_flag::killable});
    CHECK(flags_of(gup_flag::write) ==
          fault_flags{fault_flag::allow_retry, fault_flag::killable, fault_flag::write});
    CHECK(flags_of(gup_flag::interruptible) ==
          fault_flags{fault_flag::allow_retry, fault_flag::killable, fault_flag::interruptible});
    CHECK(flags_of(gup_flag::nowait) ==
          fault_flags{fault_flag::allow_retry, fault_flag::killable, fault_flag::retry_nowait});
}

TEST_CASE("2.3 item 3: a fatal signal is seen before every page", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 3> out{};
    host.me.current().kill();
    auto const lock = host.hold();
    CHECK(to_linux(mm::gup(host.cards, host.me, lock, scripted_pages::span(3), {}, out)) == -4);
    CHECK(host.pages.walks.empty());
}

TEST_CASE("2.3 item 4: one leaf answers for all its pages, capped at what is wanted", "[gup]") {
    scripted_mm host;
    host.pages.run = 4;
    std::array<mm::pfn, 6> out{};
    CHECK(unlocked(host, 6, out).pages == 6);
    CHECK(host.pages.walks.size() == 2);
    CHECK(host.pages.walks.at(1).max_pages == 2);
    CHECK(numbered(out, 6));
    CHECK(host.held_exactly(6));
}

TEST_CASE("2.4 steps 5e, 6: after a drop one page with TRIED, then bulk without", "[gup]") {
    scripted_mm host;
    host.absent(1, {step::retry});
    host.absent(2, {step::install});
    std::array<mm::pfn, 4> out{};
    CHECK(unlocked(host, 4, out).pages == 4);
    auto const& walks = host.pages.walks;
    REQUIRE(walks.size() == 6);
    CHECK(walks[1].max_pages == 3);  // page 1, in bulk: drop
    CHECK(walks[2].at == scripted_pages::address(1));
    CHECK(walks[2].max_pages == 1);  // page 1 again, alone – not nr_pages, the bug found in review
    CHECK(walks[2].flags.has(gup_flag::tried));
    CHECK(walks[3].max_pages == 2);  // page 2, in bulk again
    CHECK_FALSE(walks[3].flags.has(gup_flag::tried));
    CHECK_FALSE(host.pages.faults.at(1).flags.has(fault_flag::tried));
    CHECK(numbered(out, 4));
    CHECK(host.held_exactly(4));
    CHECK(host.lock.taken == 2);
    CHECK(host.lock.shared == 0);
}

TEST_CASE("2.4 step 6a: any number of drops on one page", "[gup]") {
    scripted_mm host;
    host.absent(0, {step::retry_and_stay_absent, step::retry_and_stay_absent,
                    step::retry_and_stay_absent, step::retry});
    std::array<mm::pfn, 1> out{};
    CHECK(unlocked(host, 1, out).pages == 1);
    CHECK(host.pages.faults.size() == 4);
    CHECK(host.pages.faults.at(1).flags.has(fault_flag::tried));
    CHECK(host.pages.faults.at(3).flags.has(fault_flag::allow_retry));
    CHECK(host.me.stats().lock_drops == 4);
    CHECK(host.me.stats().fault_retries == 4);
}

TEST_CASE("2.4 step 6b: an error of the retried page ends the call with what was done, lock not held",
    "[gup]") {
    scripted_mm host;
    host.absent(1, {step::retry_and_stay_absent, step::fail_bus});
    std::array<mm::pfn, 3> out{};
    auto lock = host.hold();
    auto const got =
        mm::gup_locked(host.cards, host.me, mm::may_drop(lock), scripted_pages::span(3), {}, out);
    CHECK(got == gup_result{1, gup_stop::error, errc::bad_address, lock_fate::lost});
    CHECK_FALSE(lock.holding());
    CHECK(host.lock.shared == 0);
    CHECK(host.lock.taken == host.lock.given);
}

TEST_CASE("2.4 step 6: a fatal signal during the wait ends the call, lock not held", "[gup]") {
    scripted_mm host;
    host.absent(1, {step::retry_and_kill});
    std::array<mm::pfn, 3> out{};
    auto const got = unlocked(host, 3, out);
    CHECK(got == gup_result{1, gup_stop::error, errc::interrupted, lock_fate::never_held});
    CHECK(host.lock.taken == 1);
    CHECK(host.lock.shared == 0);
}

TEST_CASE("2.4 step 6: an ordinary signal ends only an INTERRUPTIBLE call", "[gup]") {
    scripted_mm host;
    std::array<mm::pfn, 1> out{};
    host.absent(0, {step::retry_and_signal});
    CHECK(to_linux(unlocked(host, 1, out, gup_flag::interruptible)) == -4);
    host.me.current().take_signal();
    host.absent(0, {step::retry_and_signal});
    CHECK(to_linux(unlocked(host, 1, out)) == 1);
}

TEST_CASE("2.4 step 7: the lock is never re-taken in silence", "[gup]") {
    scripted_mm host;
    host.absent(0, {step::retry});
    std::array<mm::pfn, 1> out{};
    auto lock = host.hold();
    auto const got =
        mm::gup_locked(host.cards, host.me, mm::may_drop(lock), scripted_pages::span(1), {}, out);
    CHECK(got.complete());
    CHECK(got.lock == lock_fate::lost);
    CHECK(host.lock.taken == 2);
    CHECK(host.lock.given == 2);
}

TEST_CASE("2.4 killed while waiting for a lock that can only be tried", "[gup]") {
    scripted_mm host;
    host.lock.refusals = 1000;
    host.lock.on_refusal = [&] { host.me.current().kill(); };
    std::array<mm::pfn, 1> out{};
    CHECK(to_linux(unlocked(host, 1, out)) == -11);
    CHECK(host.lock.refusals == 999);
}

TEST_CASE("2.5 NOWAIT with UNLOCKABLE: never dropped by a fault, short count, lock free at the end",
          "[gup]") {
    scripted_mm host;
    host.absent(1, {step::retry_kept});
    std::array<mm::pfn, 3> out{};
    auto const got = unlocked(host, 3, out, gup_flag::nowait);
    CHECK(got == gup_result{1, gup_stop::would_wait, errc::ok, lock_fate::never_held});
    CHECK(host.lock.taken == 1);
    CHECK(host.lock.shared == 0);
}

TEST_CASE("2.5 NOWAIT: a handler that would drop has no permission to", "[gup]") {
    scripted_mm host;
    host.absent(0, {step::retry});  // drops if permitted, else SIGBUS
    std::array<mm::pfn, 1> out{};
    CHECK(to_linux(unlocked(host, 1, out, gup_flag::nowait)) == -14);
    CHECK(host.me.stats().lock_drops == 0);
}

TEST_CASE("2.5 INTERRUPTIBLE without UNLOCKABLE has no effect", "[gup]") {
    scripted_mm host;
    host.absent(0);
    host.me.current().signal();
    std::array<mm::pfn, 1> out{};
    auto const lock = host.hold();
    CHECK(mm::gup(host.cards, host.me, lock, scripted_pages::span(1), gup_flag::interruptible, out)
              .complete());
    CHECK_FALSE(host.pages.faults.at(0).flags.has(fault_flag::interruptible));
}

TEST_CASE("profile rfc_2014: one retry, which may not drop the lock again", "[gup][profile]") {
    std::array<mm::pfn, 3> out{};
    SECTION("a single drop is retried") {
        scripted_mm host;
        host.absent(1, {step::retry});
        auto const got =
            mm::gup_unlocked<mm::rfc_2014>(host.cards, host.me, scripted_pages::span(3), {}, out);
        CHECK(got.pages == 3);
        CHECK(host.pages.walks.at(2).max_pages == 1);  // the reviewed bug – nr_pages – is not there
    }
    SECTION("a second userfault on the same page is an error, lock not held afterwards") {
        scripted_mm host;
        host.absent(1, {step::retry_and_stay_absent, step::retry});
        auto lock = host.hold();
        auto const got = mm::gup_locked<mm::rfc_2014>(host.cards, host.me, mm::may_drop(lock),
                                                      scripted_pages::span(3), {}, out);
        CHECK(got == gup_result{1, gup_stop::error, errc::bad_address, lock_fate::lost});
        CHECK_FALSE(host.pages.faults.at(1).flags.has(fault_flag::allow_retry));
        CHECK(host.lock.shared == 0);
    }
    SECTION("each later page gets its own retry") {
        scripted_mm host;
        host.absent(0, {step::retry});
        host.absent(1, {step::retry});
        CHECK(mm::gup_unlocked<mm::rfc_2014>(host.cards, host.me, scripted_pages::span(3), {}, out)
                  .pages == 3);
    }
    SECTION("a prefault returns at once after a drop, possibly with 0") {
        scripted_mm host;
        host.absent(0, {step::retry});
        auto const got = mm::gup_unlocked<mm::rfc_2014>(host.cards, host.me,
                                                        scripted_pages::span(3), {}, mm::no_pages);
        CHECK(got == gup_result{0, gup_stop::lock_lost, errc::ok, lock_fate::never_held});
        CHECK(to_linux(got) == 0);
    }
}

TEST_CASE("bad input: output too short, lock not held", "[gup][bad-input]") {
    scripted_mm host;
    std::array<mm::pfn, 2> out{};
    CHECK(unlocked(host, 3, out).error == errc::invalid_argument);
    CHECK(host.lock.taken == 0);
    auto lock = host.hold();
    (void)lock.give_up();
    CHECK(mm::gup(host.cards, host.me, lock, scripted_pages::span(1), {}, out).error ==
          errc::lock_not_held);
    auto const got =
        mm::gup_locked(host.cards, host.me, mm::may_drop(lock), scripted_pages::span(1), {}, out);
    CHECK(got.error == errc::lock_not_held);
    CHECK(got.lock == lock_fate::lost);
    CHECK(host.pages.walks.empty());
}
