// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/machine.hpp>
#include <mmhold/vocab/flag_set.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// What a frame holds now.
enum class frame_kind : std::uint8_t {
    free,        ///< nothing: it belongs to the pool
    anonymous,   ///< memory of its own (heap, stack, private copies)
    page_cache,  ///< a page of a file
    zero,        ///< the one frame of zeroes that is shared by everybody
    other,       ///< anything else the host keeps in frames
};

/// What else pinning must know about a folio (gup-semantics §5.4, below the table).
enum class frame_attribute : std::uint16_t {
    longterm_forbidden = 1,  ///< must stay movable: a pin for ever is refused (CMA, ZONE_MOVABLE)
    peer_to_peer = 2,        ///< memory of a PCI device: only for who asks for it
    secret = 4,              ///< memfd_secret: the lockless walk may not take it
    shmem = 8,               ///< a page-cache page of shared memory, not of a file system
    truncated = 16,          ///< a page-cache page whose file let go of it (mapping == NULL)
    hugetlb = 32,            ///< of a hugetlb_pool: always whole, and no part of VmRSS
    hwpoison = 64,           ///< its memory is broken: contents lost, out of use once it is freed
    offlined = 128,          ///< its memory is suspect: out of use once it is freed
    lazily_free = 256,       ///< an anonymous page that may go while it is clean (MADV_FREE)
};
using frame_attributes = flag_set<frame_attribute>;

/// Must a frame be one that a pin may keep for ever, or may it come from the movable zone?
enum class frame_mobility : std::uint8_t {
    movable,  ///< from the movable zone, as long as there is one with room: what user pages are
    fixed,    ///< never from there
};

/// What a grab asks of the frame beyond its being alive.
enum class grab_rule : std::uint8_t {
    longterm = 1,              ///< refuse a longterm_forbidden folio (only meant for pins)
    peer_to_peer_allowed = 2,  ///< do not refuse a peer_to_peer folio
};
using grab_rules = flag_set<grab_rule>;

/// One pin of a small folio is so many references: GUP_PIN_COUNTING_BIAS, gup-semantics §1.3
/// rule 2.
inline constexpr std::uint32_t pin_bias = 1024;

/// Does a pool have memory for the contents of its frames?
enum class frame_bytes : std::uint8_t {
    none,   ///< counts only: 32 bytes per frame
    owned,  ///< and 4096 bytes each: zero when allocated, poisoned when freed
};

/// Does a pool count pins (nr_foll_pin_acquired)? It costs one more shared word per pin.
enum class pin_statistics : std::uint8_t { kept, off };

/// How a pool is doing. Exact while nobody is at work on it.
struct frame_statistics {
    std::uint64_t capacity{0};       ///< frames that can be allocated, free or not
    std::uint64_t free{0};           ///< of these, free now
    std::uint64_t pins_acquired{0};  ///< pages pinned so far; the zero page does not count
    std::uint64_t pins_released{0};  ///< pages unpinned so far

    friend constexpr bool operator==(frame_statistics const&, frame_statistics const&) = default;
};

/// The counts of a folio.
struct frame_counts {
    std::uint32_t references{0};
    std::uint32_t pins{0};  ///< exact for large folios; for small ones references / 1024

    friend constexpr bool operator==(frame_counts, frame_counts) = default;
};

/// The largest folio: 2^18 pages of 4 KiB, a leaf of 1 GiB.
inline constexpr unsigned max_frame_order = 18;

namespace detail {

/// The largest reference count. Linux's counter is a signed 32-bit number that refuses once it has
/// become negative (gup-semantics §4.5, CVE-2019-11487); here it never gets there.
inline constexpr std::uint32_t max_references = (std::uint32_t{1} << 31U) - 1;

/// Frames with one of these are not handed out again.
inline constexpr frame_attributes out_of_use{frame_attribute::hwpoison, frame_attribute::offlined};

/// "No frame" in links and lookups.
inline constexpr std::uint32_t no_frame = ~std::uint32_t{0};

/// frame::state, a word of several fields: which bits are what. All zero is a free frame.
struct frame_state {
    static constexpr std::uint32_t exclusive = 1U << 8U;      ///< of this page: PageAnonExclusive
    static constexpr std::uint32_t dirty = 1U << 9U;          ///< of the folio
    static constexpr std::uint32_t accessed = 1U << 10U;      ///< of the folio: PG_referenced
    static constexpr std::uint32_t in_free_list = 1U << 11U;  ///< of the first page of a free block
    static constexpr std::uint32_t moving = 1U << 12U;        ///< of the page: see await_moved()

    [[nodiscard]] static constexpr std::uint32_t make(frame_kind kind, unsigned order) noexcept {
        return static_cast<std::uint32_t>(kind) | (order << 3U);
    }
    [[nodiscard]] static constexpr frame_kind kind(std::uint32_t word) noexcept {
        return static_cast<frame_kind>(word & 7U);
    }
    /// Of the first page of a folio or a free block: 2^order pages belong to it.
    [[nodiscard]] static constexpr unsigned order(std::uint32_t word) noexcept {
        return (word >> 3U) & 31U;
    }
    [[nodiscard]] static constexpr std::uint32_t with(frame_attributes set) noexcept {
        return static_cast<std::uint32_t>(set.bits()) << attribute_shift;
    }
    [[nodiscard]] static constexpr frame_attributes attributes(std::uint32_t word) noexcept {
        return frame_attributes::from_bits(static_cast<std::uint16_t>(word >> attribute_shift));
    }

    /// What a word says about the folio, and what it says about the page alone (less its order).
    [[nodiscard]] static constexpr std::uint32_t folio_part(std::uint32_t word) noexcept {
        return word & (dirty | accessed | ~((1U << attribute_shift) - 1));
    }
    [[nodiscard]] static constexpr std::uint32_t page_part(std::uint32_t word) noexcept {
        return word & (exclusive | 7U);
    }

private:
    static constexpr unsigned attribute_shift = 16;
};

/// What the pool knows about one frame; all zero is a free frame outside of every list. Frames are
/// never destroyed (type-stable): a lockless walker may look at the counts of a frame whose page is
/// long gone, and is refused.
template<Machine M>
struct frame {
    template<class T>
    using atomic = typename M::template atomic<T>;
    template<class T>
    using plain = typename M::template plain<T>;

    atomic<std::uint32_t>
        references{};  ///< of the folio, at its first page; 0: free, or frozen, or a later page
    atomic<std::uint32_t>
        pins{};  ///< of a large folio, at its first page; small ones count in `references`
    atomic<std::uint32_t> behind_head{};  ///< how many pages behind the first page of its folio
    atomic<std::uint32_t> state{};        ///< frame_state
    atomic<std::uint32_t> mappings{};     ///< page table entries that point here
    atomic<std::uint32_t> generation{};   ///< how often it was freed
    plain<std::uint32_t> next{};          ///< in a free list; guarded by the pool's lock
    plain<std::uint32_t> previous{};      ///< in a free list; guarded by the pool's lock
};

}  // namespace detail

}  // namespace mmhold
