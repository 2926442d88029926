// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/config.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/object_mappings.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// Who ends an object.
enum class object_owner : std::uint8_t {
    host,      ///< whoever made it, when no vma names it any more
    mappings,  ///< the last mapping that goes (shared anonymous memory)
};

/// An object that knows where it is mapped: what page_cache and hugetlb_object have in common, and
/// all that an address space has to know of either.
///
/// The mappings lock is a spin lock; mm lock → mappings lock → page table lock.
template<class Space>
class mapped_object : public memory_object {
public:
    using space_type = Space;
    using machine = typename Space::machine;
    using stretch = mapping_stretch<Space>;

    [[nodiscard]] constexpr object_owner owner() const noexcept { return owner_; }
    /// Does nobody map it?
    [[nodiscard]] constexpr bool unmapped() noexcept {
        spin_guard<machine> const held{mappings_lock_};
        return mappings_.empty();
    }

    /// For address_space: `space` maps it at `span`, from page `first` on. Its mm lock is held
    /// exclusively. Precondition: `memory` is not empty.
    constexpr void note_mapping(Space& space, page_span span, std::uint64_t first,
                                stretch memory) noexcept {
        spin_guard<machine> const held{mappings_lock_};
        mappings_.add(space, span, first, std::move(memory));
    }
    /// For address_space: it has no entries at `span` any more, and no tables are freed yet. True:
    /// nobody maps the object now.
    constexpr bool forget_mapping(Space& space, page_span span, stretch& memory) noexcept {
        spin_guard<machine> const held{mappings_lock_};
        mappings_.cut(space, span, memory);
        return mappings_.empty();
    }

protected:
    constexpr mapped_object(object_kind kind, object_owner owner) noexcept
        : memory_object{kind}, owner_{owner} {
        machine::name(&mappings_lock_, "mappings lock");
    }
    constexpr ~mapped_object() = default;

    spin_lock<machine> mappings_lock_{};
    object_mappings<Space> mappings_ MMHOLD_GUARDED_BY(mappings_lock_){};

private:
    object_owner owner_;
};

/// The page cache whose pages `area` shows; nullptr: none, or its object is of another kind.
template<class Space>
[[nodiscard]] constexpr typename Space::object_type* page_cache_of(vma const& area) noexcept {
    auto const other = area.object == nullptr || area.object->kind() == object_kind::hugetlb;
    return other ? nullptr : static_cast<typename Space::object_type*>(area.object);
}

}  // namespace mmhold
