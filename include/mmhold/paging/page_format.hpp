// SPDX-License-Identifier: BSL-1.0
#pragma once

// PageFormat: the only place that knows what the bits of a page-table entry mean.
//
// Everything else – page_table, walkers, fault handlers – speaks about page_entry, a decoded entry:
// *none*, a *table* further down, a *leaf* that maps pages, or a *marker* (not present; its meaning
// belongs to whoever put it there: swap, migration, userfault). Masks and shifts never leave the
// model of this concept.
//
// Levels count from the leaves: 0 = PTE table, 1 = PMD, 2 = PUD, 3 = P4D (or the PGD of a 4-level
// format), 4 = PGD.

#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/address.hpp>

#include <concepts>
#include <cstdint>

namespace mmhold {

/// One page-table entry, decoded. What a format cannot express is refused by its legal(), never
/// silently dropped.
struct page_entry {
    /// What an entry is.
    enum class kind : std::uint8_t {
        none,    ///< nothing here; the all-zero word
        table,   ///< `target` is the table of the next lower level
        leaf,    ///< `target` is the first frame of the pages mapped
        marker,  ///< neither present nor none: `marker_type` and `target` are the owner's payload
    };

    kind what{kind::none};
    bool writable{false};      ///< stores allowed (x86: RW)
    bool user{false};          ///< user mode may use it (x86: US)
    bool accessed{false};      ///< set by the hardware at the first use
    bool dirty{false};         ///< set by the hardware at the first store
    bool no_execute{false};    ///< instruction fetch refused (x86: NX)
    bool global{false};        ///< survives an address-space switch in the TLB
    bool soft_dirty{false};    ///< software: written since the last clearing (also in markers)
    bool uffd_wp{false};       ///< software: write-protected for userfaultfd (also in markers)
    bool special{false};       ///< software: no frame to reference (zero page, device memory)
    bool protnone{false};      ///< mapped, but the hardware must not use it (PROT_NONE, NUMA hint)
    bool invalidated{false};   ///< a leaf being split: software sees it, hardware does not
    std::uint8_t pkey{0};      ///< protection key of a leaf
    std::uint8_t cache{0};     ///< memory type: an index into the page attribute table
    std::uint8_t marker_type{0};  ///< which kind of marker; the owner's numbering
    pfn target{};

    friend constexpr bool operator==(page_entry const&, page_entry const&) = default;

    /// A leaf as a user mapping with `allowed` has it: accessed, not dirty. No rights at all make
    /// it a protnone leaf.
    [[nodiscard]] static constexpr page_entry leaf_to(pfn page, protection allowed) noexcept {
        page_entry e;
        e.what = kind::leaf;
        e.target = page;
        e.accessed = true;
        e.protnone = allowed.empty();
        e.user = !e.protnone;
        e.writable = allowed.has(protection_bit::write);
        e.no_execute = !allowed.has(protection_bit::execute);
        return e;
    }
    /// A link to a lower table: all rights, because the leaf decides.
    [[nodiscard]] static constexpr page_entry table_to(pfn table) noexcept {
        page_entry e;
        e.what = kind::table;
        e.target = table;
        e.writable = e.user = e.accessed = e.dirty = true;
        return e;
    }
    /// A marker of `type` carrying `payload`.
    [[nodiscard]] static constexpr page_entry marker_for(std::uint8_t type,
                                                         std::uint64_t payload) noexcept {
        page_entry e;
        e.what = kind::marker;
        e.marker_type = type;
        e.target = pfn{payload};
        return e;
    }

    /// Which of the four it is.
    [[nodiscard]] constexpr bool none() const noexcept { return what == kind::none; }
    [[nodiscard]] constexpr bool is_table() const noexcept { return what == kind::table; }
    [[nodiscard]] constexpr bool is_leaf() const noexcept { return what == kind::leaf; }
    [[nodiscard]] constexpr bool is_marker() const noexcept { return what == kind::marker; }

    /// May the hardware use it: a table, or a leaf that is neither protnone nor invalidated?
    [[nodiscard]] constexpr bool present() const noexcept {
        return is_table() || (is_leaf() && !protnone && !invalidated);
    }

    /// The access test of the lockless walk (gup-semantics §5.2): a present user leaf, writable for
    /// a write, executable for an execute, whose protection key `rights` admits. Accessed and dirty
    /// play no role.
    [[nodiscard]] constexpr bool permits(access wanted,
                                         protection_key_rights rights) const noexcept {
        if (!is_leaf() || !present() || !user) return false;
        if (wanted == access::write && !writable) return false;
        if (wanted == access::execute && no_execute) return false;
        return rights.permit(pkey, wanted);
    }
};

/// The geometry of a format: how an address selects entries.
template<class F>
concept PagingGeometry = requires(virt_addr at, unsigned level) {
    // one entry, as it lies in memory
    requires std::unsigned_integral<typename F::word>;
    // tables on the way to a 4 KiB page
    requires F::levels >= 1;
    // entries of a table; a power of two
    requires F::entries_per_table >= 2;
    // width of a canonical address
    requires F::virtual_bits > page_shift && F::virtual_bits <= 64;
    // which entry of its level's table maps `at`
    { F::index(at, level) } noexcept -> std::same_as<unsigned>;
    // how many 4 KiB pages a leaf there maps; 0: no leaves at this level
    { F::leaf_pages(level) } noexcept -> std::same_as<std::uint64_t>;
    // "pte", "pmd" ...: for reports
    { F::level_name(level) } noexcept -> std::same_as<char const*>;
};

/// Bits and meaning of one entry at one level.
template<class F>
concept EntryCodec =
    requires(page_entry const& entry, typename F::word word, access how, unsigned level) {
        // can the format express it at this level?
        { F::legal(entry, level) } noexcept -> std::same_as<bool>;
        // precondition: legal
        { F::encode(entry, level) } noexcept -> std::same_as<typename F::word>;
        // any word has a meaning
        { F::decode(word, level) } noexcept -> std::same_as<page_entry>;
        // what the hardware ORs into a leaf that it uses in this way
        { F::used_bits(how) } noexcept -> std::same_as<typename F::word>;
    };

/// A page-table format.
///
/// Laws (laws/page_format.hpp):
///   absence       the zero word is *none*, and *none* is the zero word;
///   round trip    decode(encode(e)) == e for every legal entry;
///   leaves        a leaf is legal exactly where leaf_pages() is not 0, at frames aligned to it;
///   geometry      index() runs through a table in address order; addresses differ in some index
///                 exactly if their pages differ;
///   use           OR-ing used_bits() into a leaf changes accessed and dirty and nothing else.
template<class F>
concept PageFormat = PagingGeometry<F> && EntryCodec<F>;

/// The level of the root table.
template<PageFormat F>
inline constexpr unsigned top_level = F::levels - 1;

/// Bytes of address space that one entry of a table at `level` spans. Precondition: level <
/// F::levels.
template<PageFormat F>
[[nodiscard]] constexpr std::uint64_t entry_bytes(unsigned level) noexcept {
    auto bytes = page_size;
    for (unsigned below = 0; below < level; ++below) bytes *= F::entries_per_table;
    return bytes;
}

/// The same in 4 KiB pages.
template<PageFormat F>
[[nodiscard]] constexpr std::uint64_t entry_pages(unsigned level) noexcept {
    return entry_bytes<F>(level) >> page_shift;
}

/// The first address that shares `at`'s entry at `level`.
template<PageFormat F>
[[nodiscard]] constexpr virt_addr entry_start(virt_addr at, unsigned level) noexcept {
    return {at.value & ~(entry_bytes<F>(level) - 1)};
}

/// One past the last such address. Precondition: `at` is a user address (else it may wrap to 0).
template<PageFormat F>
[[nodiscard]] constexpr virt_addr entry_end(virt_addr at, unsigned level) noexcept {
    return entry_start<F>(at, level).plus(entry_bytes<F>(level));
}

/// Does `at` lie in user space: below task_size_max of the format's width?
template<PageFormat F>
[[nodiscard]] constexpr bool is_user_address(virt_addr at) noexcept {
    return at < task_size_max(F::virtual_bits);
}

}  // namespace mmhold
