// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/paging/page_format.hpp>

#include <cstdint>

namespace mmhold {

/// The entries of x86-64 in tables of 2^IndexBits entries: the real format (x86_64, below) has 9.
/// Fewer make tables that an explorer, or a reader of a trace, can look at entry by entry; every
/// bit of an entry stays where it is. Leaves map 1, 2^IndexBits and 4^IndexBits pages.
///
/// Hardware bits: Intel SDM vol. 3A §4.5 (tables 4-14 to 4-20). Software bits as Linux uses them on
/// x86-64, so that a page table dumped from a kernel decodes to what the kernel meant:
///
///      0 P            1 RW           2 US           3 PWT          4 PCD        5 A
///      6 D            7 PS (leaf above level 0; at level 0: PAT)   8 G (P clear: protnone)
///      9 special     10 uffd-wp     11 soft-dirty  12 PAT (leaf above level 0)
///     12–51 frame                   59–62 protection key                       63 NX
///
///     protnone leaf      P clear, bit 8 set, all else as in a leaf
///     invalidated leaf   P and bit 8 clear, PS set (above level 0 only): the middle of a split
///     marker (level 0)   P and bits 7, 8 clear; 1 soft-dirty, 2 uffd-wp, 9–58 the payload
///                        inverted, 59–63 the type
///
/// The payload is inverted so that a marker's frame bits point at the top of physical memory, where
/// nothing lies (the L1TF precaution); it also keeps marker 0 with payload 0 apart from none.
///
/// Above level 2 there are no leaves: bit 7 is reserved, and a word with it decodes to a marker,
/// not to a table that a walk would follow.
template<unsigned Levels, unsigned IndexBits>
    requires(Levels >= 2 && Levels <= 5 && IndexBits >= 1 && IndexBits <= 9)
struct x86_64_radix {
    using word = std::uint64_t;

    static constexpr unsigned levels = Levels;
    static constexpr unsigned virtual_bits = page_shift + IndexBits * Levels;
    static constexpr unsigned entries_per_table = 1U << IndexBits;
    static constexpr unsigned physical_bits = 52;

    [[nodiscard]] static constexpr unsigned index(virt_addr at, unsigned level) noexcept {
        auto const shift = page_shift + IndexBits * level;
        return static_cast<unsigned>(at.value >> shift) & (entries_per_table - 1);
    }
    [[nodiscard]] static constexpr std::uint64_t leaf_pages(unsigned level) noexcept {
        return level <= 2 ? std::uint64_t{1} << (IndexBits * level) : 0;
    }
    [[nodiscard]] static constexpr char const* level_name(unsigned level) noexcept {
        if (level + 1 == levels) return "pgd";
        constexpr char const* names[] = {"pte", "pmd", "pud", "p4d"};
        return level < 4 ? names[level] : "?";
    }

    [[nodiscard]] static constexpr bool legal(page_entry const& e, unsigned level) noexcept {
        switch (e.what) {
            case page_entry::kind::none: return e == page_entry{};
            case page_entry::kind::table: return level > 0 && level < levels && legal_table(e);
            case page_entry::kind::leaf: return level < levels && legal_leaf(e, level);
            case page_entry::kind::marker: return level == 0 && legal_marker(e);
        }
        return false;
    }

    [[nodiscard]] static constexpr word encode(page_entry const& e, unsigned level) noexcept {
        switch (e.what) {
            case page_entry::kind::none: return 0;
            case page_entry::kind::table: return encode_table(e);
            case page_entry::kind::leaf: return encode_leaf(e, level);
            case page_entry::kind::marker: return encode_marker(e);
        }
        return 0;
    }

    [[nodiscard]] static constexpr page_entry decode(word w, unsigned level) noexcept {
        if (w == 0) return {};
        auto const large = level > 0 && (w & size_bit) != 0;
        if ((w & present_bit) != 0) {
            if (large && leaf_pages(level) == 0) return decode_marker(w);
            return level == 0 || large ? decode_leaf(w, level) : decode_table(w);
        }
        auto const leaf = (w & protnone_bit) != 0 || large;
        return leaf && leaf_pages(level) != 0 ? decode_leaf(w, level) : decode_marker(w);
    }

    [[nodiscard]] static constexpr word used_bits(access how) noexcept {
        return how == access::write ? accessed_bit | dirty_bit : accessed_bit;
    }

private:
    static constexpr word present_bit = word{1} << 0;
    static constexpr word writable_bit = word{1} << 1;
    static constexpr word user_bit = word{1} << 2;
    static constexpr unsigned cache_shift = 3;  // PWT and PCD
    static constexpr word accessed_bit = word{1} << 5;
    static constexpr word dirty_bit = word{1} << 6;
    static constexpr word size_bit = word{1} << 7;
    static constexpr word global_bit = word{1} << 8;
    static constexpr word protnone_bit = word{1} << 8;  // only where the present bit is clear
    static constexpr word special_bit = word{1} << 9;
    static constexpr word uffd_wp_bit = word{1} << 10;
    static constexpr word soft_dirty_bit = word{1} << 11;
    static constexpr unsigned small_pat_shift = 7;
    static constexpr unsigned large_pat_shift = 12;
    static constexpr unsigned pkey_shift = 59;
    static constexpr word no_execute_bit = word{1} << 63;
    static constexpr word frame_mask = ((word{1} << physical_bits) - 1) & ~(page_size - 1);

    static constexpr word marker_soft_dirty_bit = word{1} << 1;
    static constexpr word marker_uffd_wp_bit = word{1} << 2;
    static constexpr unsigned payload_shift = 9;
    static constexpr unsigned marker_type_shift = 59;
    static constexpr word payload_mask = (word{1} << (marker_type_shift - payload_shift)) - 1;

    [[nodiscard]] static constexpr word when(bool condition, word bits) noexcept {
        return condition ? bits : 0;
    }
    [[nodiscard]] static constexpr word frame_bits(pfn frame) noexcept {
        return word{frame.value} << page_shift;
    }

    /// The bits that tables and leaves share.
    [[nodiscard]] static constexpr word common_bits(page_entry const& e) noexcept {
        return when(e.writable, writable_bit) | when(e.user, user_bit)
             | when(e.accessed, accessed_bit) | when(e.dirty, dirty_bit)
             | when(e.no_execute, no_execute_bit) | word{e.cache & 3U} << cache_shift;
    }
    static constexpr void read_common_bits(page_entry& e, word w) noexcept {
        e.writable = (w & writable_bit) != 0;
        e.user = (w & user_bit) != 0;
        e.accessed = (w & accessed_bit) != 0;
        e.dirty = (w & dirty_bit) != 0;
        e.no_execute = (w & no_execute_bit) != 0;
        e.cache = static_cast<std::uint8_t>((w >> cache_shift) & 3U);
    }
    [[nodiscard]] static constexpr unsigned pat_shift(unsigned level) noexcept {
        return level == 0 ? small_pat_shift : large_pat_shift;
    }

    [[nodiscard]] static constexpr word encode_table(page_entry const& e) noexcept {
        return present_bit | common_bits(e) | frame_bits(e.target);
    }
    [[nodiscard]] static constexpr word encode_leaf(page_entry const& e, unsigned level) noexcept {
        return when(e.present(), present_bit) | when(e.protnone, protnone_bit)
             | when(e.global, global_bit) | when(level > 0, size_bit) | common_bits(e)
             | when((e.cache & 4U) != 0, word{1} << pat_shift(level))
             | when(e.special, special_bit) | when(e.uffd_wp, uffd_wp_bit)
             | when(e.soft_dirty, soft_dirty_bit) | word{e.pkey} << pkey_shift
             | frame_bits(e.target);
    }
    [[nodiscard]] static constexpr page_entry decode_leaf(word w, unsigned level) noexcept {
        page_entry e;
        e.what = page_entry::kind::leaf;
        read_common_bits(e, w);
        auto const present = (w & present_bit) != 0;
        e.global = present && (w & global_bit) != 0;
        e.protnone = !present && (w & protnone_bit) != 0;
        e.invalidated = !present && !e.protnone;
        e.special = (w & special_bit) != 0;
        e.uffd_wp = (w & uffd_wp_bit) != 0;
        e.soft_dirty = (w & soft_dirty_bit) != 0;
        e.pkey = static_cast<std::uint8_t>((w >> pkey_shift) & 15U);
        e.cache = static_cast<std::uint8_t>(e.cache | ((w >> pat_shift(level)) & 1U) << 2U);
        e.target = pfn{((w & frame_mask) >> page_shift) & ~(leaf_pages(level) - 1)};
        return e;
    }
    [[nodiscard]] static constexpr page_entry decode_table(word w) noexcept {
        page_entry e;
        e.what = page_entry::kind::table;
        read_common_bits(e, w);
        e.target = pfn{(w & frame_mask) >> page_shift};
        return e;
    }

    [[nodiscard]] static constexpr word encode_marker(page_entry const& e) noexcept {
        return when(e.soft_dirty, marker_soft_dirty_bit) | when(e.uffd_wp, marker_uffd_wp_bit)
             | (~e.target.value & payload_mask) << payload_shift
             | word{e.marker_type} << marker_type_shift;
    }
    [[nodiscard]] static constexpr page_entry decode_marker(word w) noexcept {
        page_entry e;
        e.what = page_entry::kind::marker;
        e.soft_dirty = (w & marker_soft_dirty_bit) != 0;
        e.uffd_wp = (w & marker_uffd_wp_bit) != 0;
        e.target = pfn{~(w >> payload_shift) & payload_mask};
        e.marker_type = static_cast<std::uint8_t>(w >> marker_type_shift);
        return e;
    }

    [[nodiscard]] static constexpr bool frame_fits(pfn frame) noexcept {
        return frame.value <= frame_mask >> page_shift;
    }
    [[nodiscard]] static constexpr bool legal_table(page_entry const& e) noexcept {
        auto plain = e;
        plain.global = plain.soft_dirty = plain.uffd_wp = plain.special = false;
        plain.protnone = plain.invalidated = false;
        plain.pkey = plain.marker_type = 0;
        return plain == e && e.cache < 4 && frame_fits(e.target);
    }
    [[nodiscard]] static constexpr bool legal_leaf(page_entry const& e, unsigned level) noexcept {
        if (leaf_pages(level) == 0 || (e.target.value & (leaf_pages(level) - 1)) != 0) return false;
        if (e.invalidated && (level == 0 || e.protnone || e.global)) return false;
        if (e.protnone && e.global) return false;
        return e.pkey < 16 && e.cache < 8 && e.marker_type == 0 && frame_fits(e.target);
    }
    [[nodiscard]] static constexpr bool legal_marker(page_entry const& e) noexcept {
        auto plain = page_entry::marker_for(e.marker_type, e.target.value);
        plain.soft_dirty = e.soft_dirty;
        plain.uffd_wp = e.uffd_wp;
        // The largest payload is left out: with type 0 its word would be all zero, which is none.
        return plain == e && e.marker_type < 32 && e.target.value < payload_mask;
    }
};

/// The page-table format of x86-64 with 4 or 5 levels: 4 KiB, 2 MiB and 1 GiB leaves.
template<unsigned Levels>
    requires(Levels == 4 || Levels == 5)
struct x86_64 : x86_64_radix<Levels, 9> {};

static_assert(PageFormat<x86_64_radix<2, 1>>);
static_assert(PageFormat<x86_64<4>>);
static_assert(PageFormat<x86_64<5>>);

}  // namespace mmhold
