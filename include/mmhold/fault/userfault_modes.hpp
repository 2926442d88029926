// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/flag_set.hpp>

#include <cstdint>

namespace mmhold {

/// Which faults of a mapping are left to a userfault, with the values of UFFDIO_REGISTER_MODE_*.
enum class userfault_mode : std::uint8_t {
    missing = 1,        ///< of pages that are nowhere
    write_protect = 2,  ///< of writes to pages that it has write-protected
    minor = 4,          ///< of pages that shared memory has, but this mapping does not show yet
};
using userfault_modes = flag_set<userfault_mode>;

/// How a userfault differs from the plain one (UFFD_FEATURE_*, UFFD_USER_MODE_ONLY).
enum class userfault_feature : std::uint16_t {
    sigbus = 1,          ///< what would wait is an error at once, no event
    user_mode_only = 2,  ///< faults of the kernel on a program's behalf – all of gup – are errors
    exact_address = 4,   ///< events carry the address of the access, not of its page
    wp_unpopulated = 8,  ///< anonymous pages can be write-protected before they are there
    wp_async = 16,       ///< a write lifts the protection, nobody is asked; has wp_unpopulated
    event_fork = 32,     ///< the pager hears of fork, and of the child's userfault
    event_remap = 64,    ///< ... of mremap
    event_remove = 128,  ///< ... of pages that were discarded
    event_unmap = 256,   ///< ... of munmap
};
using userfault_features = flag_set<userfault_feature>;

/// Are pages to be write-protected, or not any more?
enum class userfault_protection : std::uint8_t { off, on };

/// Does write protection reach pages that are not there yet?
enum class mark_absent : std::uint8_t { no, yes };

/// Are they marked in `area`, by a userfault with these features? Always where something else keeps
/// the contents, so that they can come and go; anonymous memory on request (measured on 6.18).
[[nodiscard]] constexpr mark_absent absent_marks(vma const& area,
                                                 userfault_features features) noexcept {
    constexpr userfault_features asked{userfault_feature::wp_unpopulated,
                                       userfault_feature::wp_async};
    auto const marked = !is_anonymous(area) || features.has_any(asked);
    return marked ? mark_absent::yes : mark_absent::no;
}

/// The marks that `modes` leave on a vma.
[[nodiscard]] constexpr vma_flags flags_for(userfault_modes modes) noexcept {
    return vma_flags{}
        .with_if(modes.has(userfault_mode::missing), vma_flag::userfault_missing)
        .with_if(modes.has(userfault_mode::write_protect), vma_flag::userfault_wp)
        .with_if(modes.has(userfault_mode::minor), vma_flag::userfault_minor);
}
/// Is the source of `area` asked for pages that are nowhere? A source that was given without any
/// mode (address_space::set_source) is asked for those.
[[nodiscard]] constexpr bool asks_for_missing(vma const& area) noexcept {
    return area.flags.has(vma_flag::userfault_missing) || !area.flags.has_any(all_userfault_flags);
}

/// Does something in the tables say that a page of `area` must not be written to before its
/// userfault has been asked (userfaultfd_wp)?
[[nodiscard]] constexpr bool asks_for_writes(vma const& area) noexcept {
    return area.flags.has(vma_flag::userfault_wp);
}

}  // namespace mmhold
