// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/x86_64.hpp>

#include "support/catch.hpp"

#include <vector>

using namespace mmhold;
using four = x86_64<4>;
using five = x86_64<5>;

namespace {

struct not_a_format {
    using word = std::uint64_t;
};
static_assert(!PageFormat<not_a_format>);
static_assert(!PagingGeometry<not_a_format>);

page_entry user_leaf() { return page_entry::leaf_to(pfn{7}, prot::rw); }

}  // namespace

TEST_CASE("a default entry is none, and none permits nothing") {
    page_entry const e;
    REQUIRE(e.none());
    REQUIRE_FALSE(e.present());
    for (auto const how : {access::read, access::write, access::execute}) {
        REQUIRE_FALSE(e.permits(how, {}));
    }
}

TEST_CASE("leaf_to turns a protection into bits") {
    auto const rw = page_entry::leaf_to(pfn{3}, prot::rw);
    REQUIRE(rw.is_leaf());
    REQUIRE(rw.target == pfn{3});
    REQUIRE((rw.writable && rw.user && rw.no_execute && rw.accessed && !rw.dirty));
    REQUIRE(rw.present());

    auto const rx = page_entry::leaf_to(pfn{3}, prot::rx);
    REQUIRE((!rx.writable && rx.user && !rx.no_execute));

    auto const nothing = page_entry::leaf_to(pfn{3}, prot::none);
    REQUIRE((nothing.protnone && !nothing.user && !nothing.writable));
    REQUIRE(nothing.is_leaf());
    REQUIRE_FALSE(nothing.present());
}

TEST_CASE("5.2 access test: present and user for a read, writable for a write") {
    REQUIRE(user_leaf().permits(access::read, {}));
    REQUIRE(user_leaf().permits(access::write, {}));
    auto read_only = user_leaf();
    read_only.writable = false;
    REQUIRE(read_only.permits(access::read, {}));
    REQUIRE_FALSE(read_only.permits(access::write, {}));
    auto kernel = user_leaf();
    kernel.user = false;
    REQUIRE_FALSE(kernel.permits(access::read, {}));
}

TEST_CASE("5.2 access test: execute asks for no NX") {
    REQUIRE_FALSE(user_leaf().permits(access::execute, {}));
    REQUIRE(page_entry::leaf_to(pfn{7}, prot::rx).permits(access::execute, {}));
}

TEST_CASE("5.2 access test: PROT_NONE and invalidated leaves stop every access") {
    auto none = user_leaf();
    none.protnone = true;
    auto split = user_leaf();
    split.invalidated = true;
    for (auto const how : {access::read, access::write, access::execute}) {
        REQUIRE_FALSE(none.permits(how, {}));
        REQUIRE_FALSE(split.permits(how, {}));
    }
}

TEST_CASE("5.2 access test: a leaf that is neither dirty nor accessed is fine") {
    auto fresh = user_leaf();
    fresh.accessed = fresh.dirty = false;
    REQUIRE(fresh.permits(access::write, {}));
}

TEST_CASE("5.2 access test: the protection key's rights of this CPU decide") {
    auto keyed = user_leaf();
    keyed.pkey = 5;
    auto const no_access = protection_key_rights{}.with(5, 1);
    auto const no_write = protection_key_rights{}.with(5, 2);
    auto const other_key = protection_key_rights{}.with(4, 3);
    REQUIRE_FALSE(keyed.permits(access::read, no_access));
    REQUIRE_FALSE(keyed.permits(access::write, no_access));
    REQUIRE(keyed.permits(access::read, no_write));
    REQUIRE_FALSE(keyed.permits(access::write, no_write));
    REQUIRE(keyed.permits(access::write, other_key));
}

TEST_CASE("5.2 access test: tables and markers are not pages") {
    REQUIRE_FALSE(page_entry::table_to(pfn{1}).permits(access::read, {}));
    REQUIRE_FALSE(page_entry::marker_for(1, 2).permits(access::read, {}));
    REQUIRE(page_entry::table_to(pfn{1}).present());
    REQUIRE_FALSE(page_entry::marker_for(1, 2).present());
}

TEST_CASE("entry sizes follow from the number of entries") {
    REQUIRE(entry_bytes<four>(0) == 4096);
    REQUIRE(entry_bytes<four>(1) == 2U << 20);
    REQUIRE(entry_bytes<four>(2) == 1U << 30);
    REQUIRE(entry_bytes<five>(4) == std::uint64_t{1} << 48);
    REQUIRE(entry_pages<four>(1) == 512);
    REQUIRE(top_level<four> == 3);
    REQUIRE(top_level<five> == 4);
}

TEST_CASE("entry_start and entry_end enclose the address") {
    virt_addr const at{0x7f12'3456'7890};
    REQUIRE(entry_start<four>(at, 0) == virt_addr{0x7f12'3456'7000});
    REQUIRE(entry_end<four>(at, 0) == virt_addr{0x7f12'3456'8000});
    REQUIRE(entry_start<four>(at, 1) == virt_addr{0x7f12'3440'0000});
    REQUIRE(entry_end<four>(at, 1) == virt_addr{0x7f12'3460'0000});
    REQUIRE(entry_start<four>(at, 3) == virt_addr{0x7f00'0000'0000});
    REQUIRE(entry_end<four>(at, 3) == virt_addr{0x7f80'0000'0000});
}

TEST_CASE("user space ends one page below half of the canonical addresses") {
    REQUIRE(is_user_address<four>(virt_addr{0x7fff'ffff'efff}));
    REQUIRE_FALSE(is_user_address<four>(virt_addr{0x7fff'ffff'f000}));
    REQUIRE_FALSE(is_user_address<four>(virt_addr{0xffff'8000'0000'0000}));
    REQUIRE(is_user_address<five>(virt_addr{0x7fff'ffff'f000}));
    REQUIRE_FALSE(is_user_address<five>(virt_addr{0x00ff'ffff'ffff'f000}));
}
