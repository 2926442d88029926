// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mmhold {

/// What backs a mapping.
enum class vma_kind : std::uint8_t {
    anonymous,  ///< memory of its own, zero at first
    file,       ///< a file of a file system
    shmem,      ///< shared memory: memfd, /dev/shm, shared anonymous
    stack,      ///< anonymous, [stack]
    heap,       ///< anonymous, [heap]
    vdso,       ///< code of the kernel
    vvar,       ///< data of the kernel for the vdso: no frames to hold
    vsyscall,   ///< the gate page of old programs
    other,      ///< anything else: only its own fault source knows
};

/// Properties of a mapping; the names of the VM_* they stand for are in the comments.
enum class vma_flag : std::uint32_t {
    shared = 1,           ///< VM_SHARED or VM_MAYSHARE: writes go to the object
    io = 2,               ///< VM_IO: a device, pages must not be touched by gup
    pfnmap = 4,           ///< VM_PFNMAP: frame numbers without frames behind them
    grows_down = 8,       ///< VM_GROWSDOWN: a stack; room is kept free below it
    locked = 16,          ///< VM_LOCKED: stays in memory
    dont_expand = 32,     ///< VM_DONTEXPAND, VM_MIXEDMAP: never merged
    secret = 64,          ///< memfd_secret: gup is refused
    hugetlb = 128,        ///< hugetlbfs
    fsdax = 256,          ///< a file on persistent memory, mapped directly
    dirty_tracked = 512,  ///< a shared file whose pages must be announced before they are written
    shadow_stack = 1024,  ///< VM_SHADOW_STACK: writable by the hardware only
    dont_fork = 2048,     ///< VM_DONTCOPY: a child of fork does not get the mapping
    wipe_on_fork = 4096,  ///< VM_WIPEONFORK: a child gets the mapping without its pages
    droppable = 8192,     ///< VM_DROPPABLE: pages may go when memory is short, and come back zero
    userfault_missing = 16384,  ///< VM_UFFD_MISSING: missing pages are the source's
    userfault_wp = 32768,       ///< VM_UFFD_WP: the source may write-protect pages
    userfault_minor = 65536,    ///< VM_UFFD_MINOR: pages the object has are the source's, too
    large_advised = 131072,     ///< VM_HUGEPAGE: faults may map large folios
    large_refused = 262144,     ///< VM_NOHUGEPAGE: they never do
    accounted = 524288,         ///< VM_ACCOUNT: private and once writable; stays when it is not
    unsplittable = 1048576,     ///< vm_ops->may_split says no: changed as a whole or not at all
    driver_is_asked = 2097152,  ///< a get_unmapped_area of its driver's: mremap moves it alone
    driver_places = 4194304,    ///< ..., which refuses every place that is named (io_uring's)
    dont_dump = 8388608,        ///< VM_DONTDUMP: no part of a core dump
    reads_randomly = 16777216,  ///< VM_RAND_READ: no use in reading ahead
    reads_in_order = 33554432,  ///< VM_SEQ_READ: much use
    merges_equal = 67108864,    ///< VM_MERGEABLE: equal pages may become one
};
using vma_flags = flag_set<vma_flag>;

/// What a userfault asks to be told of.
inline constexpr vma_flags all_userfault_flags{vma_flag::userfault_missing, vma_flag::userfault_wp,
                                               vma_flag::userfault_minor};

/// Are vmas to be marked as locked (mlock), or not any more (munlock)?
enum class mark_locked : std::uint8_t { no, yes };

/// Which kind of object answers the faults of a vma.
enum class source_kind : std::uint8_t { userfault, blocking, custom };

/// Base of what a vma may name to answer its faults instead of its kind's own handler. Outlives
/// every vma that names it.
class fault_source {
public:
    fault_source(fault_source const&) = delete;
    fault_source& operator=(fault_source const&) = delete;
    /// Tells which class derives from it.
    [[nodiscard]] constexpr source_kind kind() const noexcept { return kind_; }

protected:
    constexpr explicit fault_source(source_kind kind) noexcept : kind_{kind} {}
    constexpr ~fault_source() = default;

private:
    source_kind kind_;
};

/// What kind of memory lies behind an object.
enum class object_kind : std::uint8_t {
    shmem,    ///< shared memory: zero at first, and nowhere else (memfd, shared anonymous)
    secret,   ///< memfd_secret: as shmem, but only cpus may look at it
    file,     ///< a file: its pages must be read in
    hugetlb,  ///< pages of 2 MiB (hugetlb_object), all others are page_cache
};

/// Base of what a mapping may show pages of: page_cache, hugetlb_object. Outlives every vma that
/// names it – or ends with the last one, if it belongs to its mappings.
class memory_object {
public:
    memory_object(memory_object const&) = delete;
    memory_object& operator=(memory_object const&) = delete;
    /// Tells what is behind it, and whether it is a file_object.
    [[nodiscard]] constexpr object_kind kind() const noexcept { return kind_; }

protected:
    constexpr explicit memory_object(object_kind kind) noexcept : kind_{kind} {}
    constexpr ~memory_object() = default;

private:
    object_kind kind_;
};

/// The name of a mapping as /proc/PID/maps shows it, cut to its last 31 characters.
class vma_name {
public:
    constexpr vma_name() noexcept = default;
    /// Keeps the end of `text`: of a path that is what tells files apart.
    constexpr explicit vma_name(std::string_view text) noexcept {
        text.remove_prefix(text.size() - std::min(text.size(), capacity));
        std::ranges::copy(text, text_.begin());
        size_ = static_cast<std::uint8_t>(text.size());
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {text_.data(), size_}; }

    friend constexpr bool operator==(vma_name const&, vma_name const&) = default;

private:
    static constexpr std::size_t capacity = 31;
    std::array<char, capacity> text_{};
    std::uint8_t size_{0};
};

namespace detail {

/// The pages from `start` to `end`, both page-aligned and start <= end.
[[nodiscard]] constexpr page_span pages_between(virt_addr start, virt_addr end) noexcept {
    return *page_span::from(start, page_count{(end.value - start.value) >> page_shift});
}

/// The pages that both spans have; empty (at `a`'s start) if there are none.
[[nodiscard]] constexpr page_span common_pages(page_span a, page_span b) noexcept {
    if (!a.overlaps(b)) return pages_between(a.start(), a.start());
    return pages_between(std::max(a.start(), b.start()), std::min(a.end(), b.end()));
}

}  // namespace detail

/// One mapping: consecutive pages with the same rights and the same backing. A value; the one in
/// the address space may only be read with its lock held and changed with it held exclusively.
struct vma {
    page_span span{};
    protection prot{};          ///< what may be done now
    protection may{prot::rwx};  ///< what mprotect may allow (VM_MAYREAD and so on)
    vma_flags flags{};
    vma_kind kind{vma_kind::anonymous};
    std::uint8_t pkey{0};            ///< protection key
    fault_source* source{nullptr};   ///< who answers faults; nullptr: the handler of what backs it
    memory_object* object{nullptr};  ///< whose pages it shows; nullptr: nobody's, or not modelled
    std::uint64_t file{0};           ///< which file, by any number of the host's; 0: none
    std::uint64_t file_page{0};      ///< the page of file or object behind the span's first page
    /// By how many pages (modulo 2^64) mremap has moved memory of its own that has or had pages:
    /// what has come from different distances is never merged (Linux: vm_pgoff of such memory).
    std::uint64_t moved_by{0};
    vma_name name{};

    /// Do its pages have numbers in a file or an object?
    [[nodiscard]] constexpr bool has_file_pages() const noexcept {
        return file != 0 || object != nullptr;
    }
    /// The number that the page at `at`, inside the span, has in the file or object.
    [[nodiscard]] constexpr std::uint64_t file_page_at(virt_addr at) const noexcept {
        return file_page + ((at.value - span.start().value) >> page_shift);
    }

    /// The part of the mapping that lies over `part`, a subspan of `span`.
    [[nodiscard]] constexpr vma cut_to(page_span part) const noexcept {
        auto cut = *this;
        cut.span = part;
        if (has_file_pages()) cut.file_page = file_page_at(part.start());
        return cut;
    }

    friend constexpr bool operator==(vma const&, vma const&) = default;
};

/// Is it memory of its own, without a file behind it?
[[nodiscard]] constexpr bool is_anonymous(vma const& area) noexcept {
    auto const own = area.kind == vma_kind::anonymous || area.kind == vma_kind::stack ||
                     area.kind == vma_kind::heap;
    return own && !area.flags.has(vma_flag::shared);
}

/// Do writes make private copies: not shared, and might become writable (is_cow_mapping)?
[[nodiscard]] constexpr bool is_cow_mapping(vma const& area) noexcept {
    return !area.flags.has(vma_flag::shared) && area.may.has(protection_bit::write);
}

/// May mremap make it longer? (Not devices, what is never merged, nor what is the kernel's.)
[[nodiscard]] constexpr bool can_grow(vma const& area) noexcept {
    auto const kernels = area.kind == vma_kind::vdso || area.kind == vma_kind::vvar ||
                         area.kind == vma_kind::vsyscall;
    return !kernels && !area.flags.has_any({vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand});
}

/// Which private memory may get large folios from faults (transparent_hugepage/enabled).
enum class large_folios : std::uint8_t {
    never,    ///< none
    advised,  ///< what is large_advised
    always,   ///< all but what is large_refused
};

/// May faults in `area` map large folios? Memory of its own whose pages nobody else fills.
[[nodiscard]] constexpr bool may_have_large_folios(vma const& area, large_folios policy) noexcept {
    auto const wanted =
        area.flags.has(vma_flag::large_advised) ||
        (policy == large_folios::always && !area.flags.has(vma_flag::large_refused));
    return wanted && policy != large_folios::never && area.source == nullptr && is_anonymous(area);
}

/// The flags of a mapping of a file or object that is, or was, private and writable: memory has
/// been promised for its copies, and the promise is kept when it becomes read-only, so that it is
/// not joined with neighbours that never had one (measured on 6.18).
[[nodiscard]] constexpr vma_flags with_account(vma const& area) noexcept {
    auto const promised = area.has_file_pages() && !is_anonymous(area) &&
                          permits(area.prot, access::write) &&
                          !area.flags.has_any({vma_flag::shared, vma_flag::hugetlb});
    return area.flags.with_if(promised, vma_flag::accounted);
}

/// May MADV_DONTNEED throw its pages away? (Not locked ones, device memory, hugetlb.)
[[nodiscard]] constexpr bool can_be_discarded(vma const& area) noexcept {
    return !area.flags.has_any({vma_flag::locked, vma_flag::pfnmap, vma_flag::hugetlb});
}

/// How many small pages one page of a hugetlb mapping is: 2 MiB.
inline constexpr std::uint64_t hugetlb_pages = 512;

/// Can a mapping of hugetlb end or begin here?
[[nodiscard]] constexpr bool is_hugetlb_border(virt_addr at) noexcept {
    return (at.value >> page_shift) % hugetlb_pages == 0;
}

/// Are locked pages thrown away as well (MADV_DONTNEED_LOCKED)?
enum class locked_pages : std::uint8_t { stay, go };

/// What MADV_DONTNEED throws away of `part`, a part of `area`. Of hugetlb (measured on 6.18): whole
/// pages, what is cut off at the end stays; the beginning must be one's. Error: invalid_argument –
/// that, or it may not.
[[nodiscard]] constexpr result<page_span> discarded_part(
    vma const& area, page_span part, locked_pages locked = locked_pages::stay) noexcept {
    if (!area.flags.has(vma_flag::hugetlb)) {
        auto const go = locked == locked_pages::go && !area.flags.has(vma_flag::pfnmap);
        if (!go && !can_be_discarded(area)) return errc::invalid_argument;
        return part;
    }
    if (!is_hugetlb_border(part.start())) return errc::invalid_argument;
    return *page_span::from(part.start(), page_count{part.pages() / hugetlb_pages * hugetlb_pages});
}

/// Does mlock mark it? (Not devices, what is never merged, hugetlb and persistent memory; nor
/// secret memory, which is locked from the start and stays so; nor what is droppable.)
[[nodiscard]] constexpr bool can_be_locked(vma const& area) noexcept {
    return !area.flags.has_any({vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand,
                                vma_flag::hugetlb, vma_flag::fsdax, vma_flag::secret,
                                vma_flag::droppable});
}

/// Is `upper` what `lower` would be further on, and begins where that ends?
[[nodiscard]] constexpr bool continues(vma const& lower, vma const& upper) noexcept {
    if (lower.span.end() != upper.span.start()) return false;
    auto expected = lower;
    expected.span = upper.span;
    if (lower.has_file_pages()) expected.file_page += lower.span.pages();
    return expected == upper;
}

/// Are `lower` and `upper` one mapping that happens to be written as two, if their pages agree
/// (page_family)?
[[nodiscard]] constexpr bool mergeable(vma const& lower, vma const& upper) noexcept {
    return can_grow(lower) && continues(lower, upper);
}

namespace detail {

/// A vma_ref was used without the lock, with another lock, or after the layout had changed. Not
/// constexpr: in constant evaluation the name is the diagnosis.
inline void this_vma_must_be_looked_up_again() noexcept { __builtin_trap(); }

/// False, but only once it is asked for a type: for static_assert in templates.
template<class>
inline constexpr bool never = false;

}  // namespace detail

/// Where a vma was found. Worth nothing without the lock: view() wants to see a witness each time,
/// and a reference from before the lock was given up is refused by the compiler (the proof in
/// hand) or stops the program (an old vma_ref under a new hold, after the layout has changed; a
/// model machine reports it even if it has not). gup-semantics §6.2 #15.
template<class L>
class vma_ref {
public:
    using lock_type = L;

    /// Made by lookups: `area` is guarded by `lock` and stays where it is as long as `*version`
    /// does not change.
    constexpr vma_ref(L const& lock, vma const& area, std::uint64_t const& version) noexcept
        : lock_{&lock}, area_{&area}, version_{&version}, found_at_{version} {
        note(claim::found_under);
    }

    /// The vma. Precondition: `witness` holds this lock, and nobody has changed the layout since
    /// the lookup (else the program stops). The reference is good for as long as the hold.
    template<WitnessOf<L> W>
    [[nodiscard]] constexpr vma const& view(W const& witness) const noexcept {
        note(claim::used);
        auto const current = witness.guards(*lock_) && *version_ == found_at_;
        if (!current) detail::this_vma_must_be_looked_up_again();
        return *area_;
    }
    /// No.
    template<class Dropped>
    requires std::same_as<std::remove_cvref_t<Dropped>, lock_dropped<L>>
    constexpr vma const& view(Dropped const&) const noexcept {
        static_assert(detail::never<Dropped>,
                      "mmhold: the mm lock was given up; look the vma up again after taking it");
        return *area_;
    }
    /// No: the hold would end with the expression, the reference would not.
    template<WitnessOf<L> W>
    requires(!std::is_lvalue_reference_v<W>) constexpr vma const& view(W&&) const noexcept {
        static_assert(detail::never<W>,
                      "mmhold: a temporary witness ends its hold at once; give it a name");
        return *area_;
    }

private:
    // Locks that belong to no machine are not watched.
    constexpr void note(claim what) const noexcept {
        if constexpr (requires { typename L::machine; }) {
            if (what == claim::found_under) {
                L::machine::note(what, area_, lock_);
            } else {
                L::machine::note(what, area_);
            }
        }
    }

    L const* lock_;
    vma const* area_;
    std::uint64_t const* version_;
    std::uint64_t found_at_;
};

}  // namespace mmhold
