// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/fault_site.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::check_fault;
using mm::errc;
using mm::fault_flag;
using mm::fault_flags;
using mm::permitted_by_vma;

namespace {

constexpr mm::vma area_with(mm::protection prot, mm::protection may = mm::prot::rwx,
                            mm::vma_flags flags = {}) {
    mm::vma area;
    area.prot = prot;
    area.may = may;
    area.flags = flags;
    return area;
}
constexpr auto cow = area_with(mm::prot::rw);
constexpr auto read_only_cow = area_with(mm::prot::r);
constexpr auto shared = area_with(mm::prot::rw, mm::prot::rwx, mm::vma_flag::shared);
constexpr auto read_only_shared = area_with(mm::prot::r, mm::prot::rwx, mm::vma_flag::shared);
constexpr auto never_writable = area_with(mm::prot::r, mm::prot::r);

constexpr errc refusal(mm::vma const& area, fault_flags flags) {
    return check_fault(area, flags, {}).error();
}

}  // namespace

TEST_CASE("2.1 item 6: unshare and write together are refused", "[fault][site]") {
    STATIC_REQUIRE(refusal(cow, {fault_flag::unshare, fault_flag::write}) == errc::bad_address);
    STATIC_REQUIRE(refusal(cow, fault_flag::unshare) == errc::ok);
}

TEST_CASE("2.1 item 6: a write without MAYWRITE is refused", "[fault][site]") {
    STATIC_REQUIRE(refusal(never_writable, fault_flag::write) == errc::bad_address);
    STATIC_REQUIRE(refusal(never_writable, {}) == errc::ok);
}

TEST_CASE("2.1 item 6: a write to a read-only mapping without private copies is refused",
          "[fault][site]") {
    STATIC_REQUIRE(refusal(read_only_shared, fault_flag::write) == errc::bad_address);
    STATIC_REQUIRE(refusal(shared, fault_flag::write) == errc::ok);
    STATIC_REQUIRE(refusal(read_only_cow, fault_flag::write) == errc::ok);  // FORCE may
}

TEST_CASE("2.1 item 6: the vma's own lock and nowait together are refused", "[fault][site]") {
    STATIC_REQUIRE(refusal(cow, {fault_flag::vma_lock, fault_flag::allow_retry,
                                 fault_flag::retry_nowait}) == errc::bad_address);
    STATIC_REQUIRE(refusal(cow, {fault_flag::vma_lock, fault_flag::allow_retry}) == errc::ok);
    STATIC_REQUIRE(refusal(cow, fault_flag::retry_nowait) == errc::bad_address);
}

TEST_CASE("2.1 item 6: unshare becomes a read where nothing is copied on write", "[fault][site]") {
    constexpr fault_flags unshare_retry{fault_flag::unshare, fault_flag::allow_retry};
    STATIC_REQUIRE(*check_fault(shared, unshare_retry, {}) == fault_flags{fault_flag::allow_retry});
    STATIC_REQUIRE(*check_fault(never_writable, unshare_retry, {}) ==
                   fault_flags{fault_flag::allow_retry});
    STATIC_REQUIRE(*check_fault(cow, unshare_retry, {}) == unshare_retry);
}

TEST_CASE("a protection key forbids writes, or reads too, but never execution", "[fault][site]") {
    auto keyed = cow;
    keyed.pkey = 2;
    auto const no_write = mm::protection_key_rights{}.with(2, 2);
    auto const no_access = mm::protection_key_rights{}.with(2, 1);
    CHECK(check_fault(keyed, fault_flag::write, no_write).error() == errc::bad_address);
    CHECK(check_fault(keyed, {}, no_write).has_value());
    CHECK(check_fault(keyed, {}, no_access).error() == errc::bad_address);
    CHECK(check_fault(keyed, fault_flag::instruction, no_access).has_value());
    CHECK(check_fault(keyed, fault_flag::remote, no_access).has_value());
    CHECK(check_fault(cow, fault_flag::write, no_access).has_value());
}

TEST_CASE("8.2: what a cpu may do by the vma's permissions", "[fault][site]") {
    constexpr fault_flags write{fault_flag::write};
    constexpr fault_flags fetch{fault_flag::instruction};
    STATIC_REQUIRE(permitted_by_vma(cow, {}));
    STATIC_REQUIRE(permitted_by_vma(cow, write));
    STATIC_REQUIRE_FALSE(permitted_by_vma(cow, fetch));
    STATIC_REQUIRE_FALSE(permitted_by_vma(read_only_cow, write));
    STATIC_REQUIRE_FALSE(permitted_by_vma(area_with(mm::prot::none), {}));
    STATIC_REQUIRE(permitted_by_vma(area_with(mm::prot::w), {}));  // x86 has no write-only page
    STATIC_REQUIRE(permitted_by_vma(area_with(mm::prot::x), fetch));
    STATIC_REQUIRE(permitted_by_vma(area_with(mm::prot::x), {}));
}

TEST_CASE("what a fault wants", "[fault][site]") {
    STATIC_REQUIRE(mm::wanted_access({}) == mm::access::read);
    STATIC_REQUIRE(mm::wanted_access(fault_flag::write) == mm::access::write);
    STATIC_REQUIRE(mm::wanted_access(fault_flag::instruction) == mm::access::execute);
    STATIC_REQUIRE(mm::wanted_access({fault_flag::instruction, fault_flag::write}) ==
                   mm::access::write);
}

TEST_CASE("a fault is located under the caller's hold, at its exact address", "[fault][site]") {
    fault_world world;
    auto const at = world.map(0, 2);
    auto const lock = world.hold();
    auto const keep = authority::keep(lock);
    mm::fault_request const request{at.plus(0x1234), flags::write};
    auto const site = mm::locate_fault(world.space, request, keep, world.me);
    REQUIRE(site.has_value());
    CHECK(site->at == at.plus(0x1234));
    CHECK(site->page() == at.plus(0x1000));
    CHECK(site->area->span == world.span(0, 2));
    CHECK(site->write());
    CHECK_FALSE(site->unshare());
    auto const above = mm::locate_fault(world.space, {at.plus_pages(2), {}}, keep, world.me);
    CHECK(above.error() == errc::bad_address);
}

TEST_CASE("a fault without the lock cannot be located", "[fault][site][bad-input]") {
    fault_world world;
    auto const at = world.map(0, 1);
    auto lock = world.hold();
    auto const keep = authority::keep(lock);
    (void)lock.give_up();
    CHECK(mm::locate_fault(world.space, {at, {}}, keep, world.me).error() == errc::lock_not_held);
}
