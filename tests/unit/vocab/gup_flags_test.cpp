// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/gup_flags.hpp>

using namespace mmhold;

namespace {

constexpr auto refused = errc::invalid_argument;

}  // namespace

TEST_CASE("0 gup flags have the values of Linux 6.18") {
    CHECK(gup_flags{gup_flag::write}.bits() == 0x1);
    CHECK(gup_flags{gup_flag::get}.bits() == 0x2);
    CHECK(gup_flags{gup_flag::dump}.bits() == 0x4);
    CHECK(gup_flags{gup_flag::force}.bits() == 0x8);
    CHECK(gup_flags{gup_flag::nowait}.bits() == 0x10);
    CHECK(gup_flags{gup_flag::nofault}.bits() == 0x20);
    CHECK(gup_flags{gup_flag::hwpoison}.bits() == 0x40);
    CHECK(gup_flags{gup_flag::anon}.bits() == 0x80);
    CHECK(gup_flags{gup_flag::longterm}.bits() == 0x100);
    CHECK(gup_flags{gup_flag::split_pmd}.bits() == 0x200);
    CHECK(gup_flags{gup_flag::pci_p2pdma}.bits() == 0x400);
    CHECK(gup_flags{gup_flag::interruptible}.bits() == 0x800);
    CHECK(gup_flags{gup_flag::honor_numa_fault}.bits() == 0x1000);
    CHECK(gup_flags{gup_flag::touch}.bits() == 0x1'0000);
    CHECK(gup_flags{gup_flag::tried}.bits() == 0x2'0000);
    CHECK(gup_flags{gup_flag::remote}.bits() == 0x4'0000);
    CHECK(gup_flags{gup_flag::pin}.bits() == 0x8'0000);
    CHECK(gup_flags{gup_flag::fast_only}.bits() == 0x10'0000);
    CHECK(gup_flags{gup_flag::unlockable}.bits() == 0x20'0000);
    CHECK(gup_flags{gup_flag::madv_populate}.bits() == 0x40'0000);
    CHECK(internal_gup_flags.bits() == 0x7f'0000);
}

TEST_CASE("1.1 a caller may not pass internal flags") {
    for (auto const flag : {gup_flag::touch, gup_flag::tried, gup_flag::remote, gup_flag::pin,
                            gup_flag::fast_only, gup_flag::unlockable, gup_flag::madv_populate}) {
        CHECK(check_gup_flags(flag, holding::reference, gup_path::slow) == refused);
        CHECK(check_gup_flags(flag, holding::pin, gup_path::fast) == refused);
    }
}

TEST_CASE("1.1 pin together with get is refused") {
    CHECK(check_gup_flags(gup_flag::get, holding::pin, gup_path::slow) == refused);
    CHECK(check_gup_flags(gup_flag::get, holding::reference, gup_path::slow) == errc::ok);
    CHECK(check_gup_flags(gup_flag::get, holding::reference, gup_path::fast) == errc::ok);
}

TEST_CASE("1.1 get without pages is refused") {
    CHECK(check_gup_flags(gup_flag::get, holding::none, gup_path::slow) == refused);
    CHECK(check_gup_flags({}, holding::none, gup_path::slow) == errc::ok);
}

TEST_CASE("1.1 longterm without pin is refused") {
    CHECK(check_gup_flags(gup_flag::longterm, holding::reference, gup_path::slow) == refused);
    CHECK(check_gup_flags(gup_flag::longterm, holding::none, gup_path::slow) == refused);
    CHECK(check_gup_flags(gup_flag::longterm, holding::pin, gup_path::slow) == errc::ok);
    CHECK(check_gup_flags(gup_flag::longterm, holding::pin, gup_path::fast) == errc::ok);
}

TEST_CASE("1.1 longterm with pci_p2pdma is refused") {
    gup_flags const both{gup_flag::longterm, gup_flag::pci_p2pdma};
    CHECK(check_gup_flags(both, holding::pin, gup_path::slow) == refused);
    CHECK(check_gup_flags(gup_flag::pci_p2pdma, holding::pin, gup_path::slow) == errc::ok);
}

TEST_CASE("1.1 gup_fast accepts only its own flags") {
    for (auto const flag : {gup_flag::dump, gup_flag::nowait, gup_flag::hwpoison, gup_flag::anon,
                            gup_flag::split_pmd, gup_flag::interruptible}) {
        CHECK(check_gup_flags(flag, holding::reference, gup_path::fast) == refused);
        CHECK(check_gup_flags(flag, holding::reference, gup_path::slow) == errc::ok);
    }
    for (auto const flag : {gup_flag::write, gup_flag::force, gup_flag::nofault,
                            gup_flag::pci_p2pdma, gup_flag::honor_numa_fault}) {
        CHECK(check_gup_flags(flag, holding::reference, gup_path::fast) == errc::ok);
    }
}

TEST_CASE("1.1 a bit that is no flag is refused on the fast path") {
    CHECK(check_gup_flags(gup_flags::from_bits(0x8000'0000U), holding::pin, gup_path::fast)
          == refused);
}
