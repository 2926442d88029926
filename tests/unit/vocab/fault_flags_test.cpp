// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/fault_flags.hpp>

using namespace mmhold;

namespace {

constexpr auto missing = fault_cause::missing_or_protected;

}  // namespace

TEST_CASE("0 fault flags have the values of Linux 6.18") {
    CHECK(fault_flags{fault_flag::write}.bits() == 0x1);
    CHECK(fault_flags{fault_flag::mkwrite}.bits() == 0x2);
    CHECK(fault_flags{fault_flag::allow_retry}.bits() == 0x4);
    CHECK(fault_flags{fault_flag::retry_nowait}.bits() == 0x8);
    CHECK(fault_flags{fault_flag::killable}.bits() == 0x10);
    CHECK(fault_flags{fault_flag::tried}.bits() == 0x20);
    CHECK(fault_flags{fault_flag::user}.bits() == 0x40);
    CHECK(fault_flags{fault_flag::remote}.bits() == 0x80);
    CHECK(fault_flags{fault_flag::instruction}.bits() == 0x100);
    CHECK(fault_flags{fault_flag::interruptible}.bits() == 0x200);
    CHECK(fault_flags{fault_flag::unshare}.bits() == 0x400);
    CHECK(fault_flags{fault_flag::orig_pte_valid}.bits() == 0x800);
    CHECK(fault_flags{fault_flag::vma_lock}.bits() == 0x1000);
}

TEST_CASE("2.1 item 6: contradictory fault flags are refused") {
    using enum fault_flag;
    CHECK(check_fault_flags({unshare, write}) == errc::invalid_argument);
    CHECK(check_fault_flags({vma_lock, retry_nowait, allow_retry}) == errc::invalid_argument);
    CHECK(check_fault_flags({retry_nowait}) == errc::invalid_argument);
}

TEST_CASE("2.1 item 6: the flags that real faults carry are accepted") {
    using enum fault_flag;
    CHECK(check_fault_flags({}) == errc::ok);
    CHECK(check_fault_flags({write}) == errc::ok);
    CHECK(check_fault_flags({unshare}) == errc::ok);
    CHECK(check_fault_flags({allow_retry, retry_nowait}) == errc::ok);
    CHECK(check_fault_flags({allow_retry, killable, interruptible, user}) == errc::ok);
    CHECK(check_fault_flags({allow_retry, killable, tried}) == errc::ok);
    CHECK(check_fault_flags({vma_lock, allow_retry, user}) == errc::ok);
}

TEST_CASE("2.2 WRITE, REMOTE and TRIED are passed on") {
    CHECK(to_fault_flags(gup_flag::write, missing) == fault_flags{fault_flag::write});
    CHECK(to_fault_flags(gup_flag::remote, missing) == fault_flags{fault_flag::remote});
    CHECK(to_fault_flags(gup_flag::tried, missing) == fault_flags{fault_flag::tried});
    CHECK(to_fault_flags({}, missing).empty());
}

TEST_CASE("2.2 UNLOCKABLE allows a killable retry") {
    using enum fault_flag;
    CHECK(to_fault_flags(gup_flag::unlockable, missing) == fault_flags{allow_retry, killable});
}

TEST_CASE("2.2 UNLOCKABLE with INTERRUPTIBLE allows any signal to end the wait") {
    using enum fault_flag;
    CHECK(to_fault_flags({gup_flag::unlockable, gup_flag::interruptible}, missing)
          == fault_flags{allow_retry, killable, interruptible});
}

TEST_CASE("2.5 INTERRUPTIBLE without UNLOCKABLE has no effect") {
    CHECK(to_fault_flags(gup_flag::interruptible, missing).empty());
}

TEST_CASE("2.2 NOWAIT allows a retry that does not wait") {
    using enum fault_flag;
    CHECK(to_fault_flags(gup_flag::nowait, missing) == fault_flags{allow_retry, retry_nowait});
}

TEST_CASE("2.5 NOWAIT with UNLOCKABLE carries a harmless KILLABLE") {
    using enum fault_flag;
    CHECK(to_fault_flags({gup_flag::nowait, gup_flag::unlockable}, missing)
          == fault_flags{allow_retry, retry_nowait, killable});
}

TEST_CASE("2.2 a page that must be unshared is unshared, not written") {
    using enum fault_flag;
    CHECK(to_fault_flags({}, fault_cause::must_unshare) == fault_flags{unshare});
    CHECK(to_fault_flags(gup_flag::unlockable, fault_cause::must_unshare)
          == fault_flags{unshare, allow_retry, killable});
    CHECK(to_fault_flags(gup_flag::write, fault_cause::must_unshare) == fault_flags{unshare});
}

TEST_CASE("2.2 gup never raises a USER, VMA_LOCK or INSTRUCTION fault") {
    auto const all = gup_flags::from_bits(0x7f'1fff);
    for (auto const cause : {missing, fault_cause::must_unshare}) {
        auto const flags = to_fault_flags(all, cause);
        CHECK_FALSE(flags.has_any(
            {fault_flag::user, fault_flag::vma_lock, fault_flag::instruction}));
    }
}

TEST_CASE("2.2 whatever gup asks for makes legal fault flags") {
    using enum gup_flag;
    constexpr gup_flag relevant[] = {write, remote, tried, unlockable, interruptible, nowait};
    for (unsigned subset = 0; subset < 64; ++subset) {
        gup_flags flags;
        for (unsigned index = 0; index < 6; ++index) {
            flags = flags.with_if((subset >> index) % 2 == 1, relevant[index]);
        }
        INFO("gup flags " << flags.bits());
        CHECK(check_fault_flags(to_fault_flags(flags, missing)) == errc::ok);
        CHECK(check_fault_flags(to_fault_flags(flags, fault_cause::must_unshare)) == errc::ok);
    }
}
