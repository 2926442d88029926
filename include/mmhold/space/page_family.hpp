// SPDX-License-Identifier: BSL-1.0
#pragma once

// page_family – the mark that pages of one's own leave on a mapping, and that stays when they go.
//
// Linux: vma->anon_vma, by which it finds who maps such pages. Here nobody is found by it; but it
// decides which neighbours become one mapping, and with that what mremap may do to both at once.
//
// Faulter    (mm lock shared) is about to map a page of the mapping's own: it joins the family of a
//            neighbour that differs in rights only and continues it, the upper one first, else it
//            founds a new family. Several at once: the first of them decides.
// Changer    (mm lock exclusive) joins, splits and moves mappings: a family goes along.
//
// Measured on 6.18. A family is founded by a write to private memory – be it that the page does not
// come about: a pager is asked, a file has ended –, by a read only where large zeroes are mapped,
// by what userfaultfd fills even if the filling fails, by guards, and by a stack that grows. Two
// mappings of the same family join, and one without a family joins any. But what has come by fork
// is *inherited*: it founds a family of its own with the child's birth, one for each mapping, and
// joins with none but that – except that it grows over a mapping without one.

#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>

#include <cstdint>

namespace mmhold {

/// Where the first pages of a family come from.
enum class family_origin : std::uint8_t {
    faults,  ///< from the mapping's own faults
    parent,  ///< from a parent, by fork: it is inherited
};

/// Whose pages a mapping's own are; none, if it never had any. A value.
class page_family {
public:
    /// None.
    constexpr page_family() noexcept = default;
    /// Number `n`, which is not 0.
    constexpr page_family(std::uint64_t n, family_origin from) noexcept
        : bits_{2 * n + std::uint64_t{from == family_origin::parent}} {}
    /// The value that bits() has answered.
    [[nodiscard]] static constexpr page_family from_bits(std::uint64_t bits) noexcept {
        page_family made;
        made.bits_ = bits;
        return made;
    }

    /// Has the mapping, or had it, pages of its own?
    [[nodiscard]] constexpr bool exists() const noexcept { return bits_ != 0; }
    [[nodiscard]] constexpr bool inherited() const noexcept { return bits_ % 2 != 0; }
    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }

    /// May mappings of these families become one?
    [[nodiscard]] constexpr bool joins(page_family other) const noexcept {
        if (exists() && other.exists()) return *this == other;
        return !inherited() && !other.inherited();
    }
    /// May a mapping of this family that has grown join the one it has reached?
    [[nodiscard]] constexpr bool grows_into(page_family upper) const noexcept {
        return !upper.exists() || joins(upper);
    }
    /// The family of both together.
    [[nodiscard]] constexpr page_family with(page_family other) const noexcept {
        return exists() ? *this : other;
    }

    friend constexpr bool operator==(page_family, page_family) = default;

private:
    std::uint64_t bits_{0};
};

namespace detail {

/// Has memory been promised for all its pages? Memory of one's own that may be written says so by
/// its rights alone.
[[nodiscard]] constexpr bool is_accounted(vma const& area) noexcept {
    auto const by_rights = is_anonymous(area) && permits(area.prot, access::write) &&
                           !area.flags.has(vma_flag::droppable);
    return by_rights || area.flags.has(vma_flag::accounted);
}

}  // namespace detail

/// The flags of `area`, which had the rights and flags of `old` and now has its own: see
/// with_account() for files and objects. Memory of one's own gives the promise back when it becomes
/// read-only, unless it is `of` a family (measured on 6.18); while it is writable nothing has to be
/// noted.
[[nodiscard]] constexpr vma_flags with_account(vma const& area, vma const& old,
                                               page_family of) noexcept {
    if (!is_anonymous(area)) return with_account(area);
    auto const writable = permits(area.prot, access::write);
    auto const keeps = of.exists() && detail::is_accounted(old) && !writable;
    return area.flags.without(vma_flag::accounted).with_if(keeps, vma_flag::accounted);
}

/// Do `lower` and `upper`, which touch, differ in rights at most, so that their pages may be of one
/// family? (Who answers their faults does not matter, what is asked of him does.)
[[nodiscard]] constexpr bool may_share_family(vma const& lower, vma const& upper) noexcept {
    if (detail::is_accounted(lower) != detail::is_accounted(upper)) return false;
    auto alike = upper;
    alike.prot = lower.prot;
    alike.source = lower.source;
    alike.name = lower.name;
    alike.flags = upper.flags.without(vma_flag::accounted)
                      .with_if(lower.flags.has(vma_flag::accounted), vma_flag::accounted);
    return continues(lower, alike);
}

}  // namespace mmhold
