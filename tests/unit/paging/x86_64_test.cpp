// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/x86_64.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

using namespace mmhold;
using four = x86_64<4>;
using five = x86_64<5>;

namespace {

/// A leaf with nothing set but its frame.
page_entry bare_leaf(std::uint64_t frame) {
    page_entry e;
    e.what = page_entry::kind::leaf;
    e.target = pfn{frame};
    return e;
}

}  // namespace

TEST_CASE("x86_64: geometry of 4 and 5 levels") {
    REQUIRE(four::virtual_bits == 48);
    REQUIRE(five::virtual_bits == 57);
    virt_addr const at{0x0012'3456'789a'b000};
    REQUIRE(five::index(at, 0) == ((at.value >> 12) & 511));
    REQUIRE(five::index(at, 1) == ((at.value >> 21) & 511));
    REQUIRE(five::index(at, 2) == ((at.value >> 30) & 511));
    REQUIRE(five::index(at, 3) == ((at.value >> 39) & 511));
    REQUIRE(five::index(at, 4) == ((at.value >> 48) & 511));
    REQUIRE(four::leaf_pages(0) == 1);
    REQUIRE(four::leaf_pages(1) == 512);
    REQUIRE(four::leaf_pages(2) == 512 * 512);
    REQUIRE(four::leaf_pages(3) == 0);
    REQUIRE(five::leaf_pages(4) == 0);
}

TEST_CASE("x86_64: levels have the kernel's names") {
    REQUIRE(std::string{four::level_name(0)} == "pte");
    REQUIRE(std::string{four::level_name(1)} == "pmd");
    REQUIRE(std::string{four::level_name(2)} == "pud");
    REQUIRE(std::string{four::level_name(3)} == "pgd");
    REQUIRE(std::string{five::level_name(3)} == "p4d");
    REQUIRE(std::string{five::level_name(4)} == "pgd");
    REQUIRE(std::string{five::level_name(9)} == "?");
}

TEST_CASE("x86_64: words as a kernel would have them") {
    // P RW US A D, as Linux links a table.
    REQUIRE(four::encode(page_entry::table_to(pfn{0x1234}), 3) == 0x0123'4067);
    // P RW US A D NX: a written user page.
    auto e = page_entry::leaf_to(pfn{0x12345}, prot::rw);
    e.dirty = true;
    REQUIRE(four::encode(e, 0) == 0x8000'0000'1234'5067);
    // The same as a 2 MiB leaf: PS.
    e.target = pfn{0x12400};
    REQUIRE(four::encode(e, 1) == 0x8000'0000'1240'00e7);
    // PROT_NONE: P clear, bit 8.
    REQUIRE(four::encode(page_entry::leaf_to(pfn{1}, prot::none), 0) == 0x8000'0000'0000'1120);
}

TEST_CASE("x86_64: each bit stands where the manual and Linux put it") {
    auto const bit = [](auto set, unsigned level = 0) {
        auto e = bare_leaf(0);
        auto const without = four::encode(e, level);
        set(e);
        return four::encode(e, level) ^ without;
    };
    auto const nth = [](unsigned n) { return std::uint64_t{1} << n; };
    REQUIRE(four::encode(bare_leaf(0), 0) == nth(0));
    REQUIRE(bit([](page_entry& e) { e.writable = true; }) == nth(1));
    REQUIRE(bit([](page_entry& e) { e.user = true; }) == nth(2));
    REQUIRE(bit([](page_entry& e) { e.cache = 1; }) == nth(3));
    REQUIRE(bit([](page_entry& e) { e.cache = 2; }) == nth(4));
    REQUIRE(bit([](page_entry& e) { e.accessed = true; }) == nth(5));
    REQUIRE(bit([](page_entry& e) { e.dirty = true; }) == nth(6));
    REQUIRE(bit([](page_entry& e) { e.cache = 4; }) == nth(7));
    REQUIRE(bit([](page_entry& e) { e.cache = 4; }, 1) == nth(12));
    REQUIRE(bit([](page_entry& e) { e.global = true; }) == nth(8));
    REQUIRE(bit([](page_entry& e) { e.protnone = true; }) == (nth(8) | nth(0)));
    REQUIRE(bit([](page_entry& e) { e.special = true; }) == nth(9));
    REQUIRE(bit([](page_entry& e) { e.uffd_wp = true; }) == nth(10));
    REQUIRE(bit([](page_entry& e) { e.soft_dirty = true; }) == nth(11));
    REQUIRE(bit([](page_entry& e) { e.pkey = 1; }) == nth(59));
    REQUIRE(bit([](page_entry& e) { e.pkey = 8; }) == nth(62));
    REQUIRE(bit([](page_entry& e) { e.no_execute = true; }) == nth(63));
    REQUIRE(bit([](page_entry& e) { e.invalidated = true; }, 1) == nth(0));
    REQUIRE(bit([](page_entry& e) { e.target = pfn{1ULL << 39}; }) == nth(51));
}

TEST_CASE("x86_64: an invalidated leaf is still a leaf to software") {
    auto e = page_entry::leaf_to(pfn{512}, prot::rw);
    e.invalidated = true;
    REQUIRE(four::legal(e, 1));
    REQUIRE((four::encode(e, 1) & 1) == 0);
    REQUIRE(four::decode(four::encode(e, 1), 1) == e);
    REQUIRE_FALSE(four::legal(e, 0));
}

TEST_CASE("x86_64: markers carry payload and type, inverted as against L1TF") {
    auto e = page_entry::marker_for(21, 0x1234);
    e.uffd_wp = true;
    auto const word = four::encode(e, 0);
    REQUIRE(word == ((~std::uint64_t{0x1234} << 9 & ~(std::uint64_t{31} << 59)) |
                     std::uint64_t{21} << 59 | 4));
    REQUIRE(four::decode(word, 0) == e);
    REQUIRE(four::encode(page_entry::marker_for(0, 0), 0) != 0);
}

TEST_CASE("x86_64: what no entry can express is not legal") {
    page_entry not_quite_none;
    not_quite_none.writable = true;
    REQUIRE_FALSE(four::legal(not_quite_none, 0));
    REQUIRE_FALSE(four::legal(page_entry::table_to(pfn{1}), 0));
    REQUIRE_FALSE(four::legal(page_entry::table_to(pfn{1}), 4));
    REQUIRE(five::legal(page_entry::table_to(pfn{1}), 4));
    REQUIRE_FALSE(four::legal(page_entry::table_to(pfn{std::uint64_t{1} << 40}), 1));
    auto keyed_table = page_entry::table_to(pfn{1});
    keyed_table.pkey = 1;
    REQUIRE_FALSE(four::legal(keyed_table, 1));

    REQUIRE_FALSE(four::legal(bare_leaf(0), 3));
    REQUIRE_FALSE(four::legal(bare_leaf(1), 1));
    REQUIRE_FALSE(four::legal(bare_leaf(512), 2));
    REQUIRE_FALSE(four::legal(bare_leaf(std::uint64_t{1} << 40), 0));
    auto leaf = bare_leaf(1);
    leaf.pkey = 16;
    REQUIRE_FALSE(four::legal(leaf, 0));
    leaf = bare_leaf(1);
    leaf.protnone = leaf.global = true;
    REQUIRE_FALSE(four::legal(leaf, 0));
    leaf = bare_leaf(1);
    leaf.marker_type = 1;
    REQUIRE_FALSE(four::legal(leaf, 0));

    REQUIRE_FALSE(four::legal(page_entry::marker_for(1, 1), 1));
    REQUIRE_FALSE(four::legal(page_entry::marker_for(32, 1), 0));
    REQUIRE_FALSE(four::legal(page_entry::marker_for(1, std::uint64_t{1} << 50), 0));
    auto writable_marker = page_entry::marker_for(1, 1);
    writable_marker.writable = true;
    REQUIRE_FALSE(four::legal(writable_marker, 0));
}

TEST_CASE("x86_64: any word decodes, and a walk never follows a reserved one") {
    for (unsigned level = 0; level < five::levels; ++level) {
        std::uint64_t word = 0x9e37'79b9'7f4a'7c15;
        for (int i = 0; i < 2000; ++i) {
            auto const e = five::decode(word, level);
            REQUIRE_FALSE(e.none());
            REQUIRE((e.is_table() || e.is_leaf() || e.is_marker()));
            if (e.is_table()) REQUIRE((level > 0 && (word & 1) == 1));
            if (e.is_leaf()) REQUIRE(five::leaf_pages(level) != 0);
            word = word * 6364136223846793005U + 1442695040888963407U;
        }
    }
    REQUIRE(four::decode(0x1067 | 0x80, 3).is_marker());
}

TEST_CASE("x86_64: an address below the leaf's alignment is dropped, as the hardware does") {
    REQUIRE(four::decode(0x20'1000 | 0x81, 1).target == pfn{0x200});
    REQUIRE(four::decode(0x20'1000 | 0x81, 1).cache == 4);
}
