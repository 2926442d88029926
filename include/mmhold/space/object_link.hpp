// SPDX-License-Identifier: BSL-1.0
#pragma once

// object_link – what an address space and the objects it shows owe each other when mappings come
// and go (mapped_object.hpp).
//
// A mapping comes   memory for the object's list is had first; shared memory of its own gets an
//                   object → layout → the object is told.
// A mapping goes    pages first → the object is told → layout; the last mapping of an object that
//                   belongs to its mappings ends it.

#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/object_mappings.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/space/vma_map.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <utility>

namespace mmhold {

/// What a new mapping needs of its object: nothing at all, if it has none. `Space` is an
/// address_space; its lock is held exclusively from make() to connect().
template<class Space>
class object_link {
public:
    using machine = typename Space::machine;
    using object_type = typename Space::object_type;

    /// Memory for the object's list; a new object where the request wants one of its own
    /// (wants_own_object). Error: no_memory, and nothing is left behind.
    [[nodiscard]] static constexpr result<object_link> make(Space& space,
                                                            mmap_request const& request) {
        object_link link;
        auto const wants_own = wants_own_object(request);
        link.object_ = static_cast<mapped_object<Space>*>(request.object);
        if (!wants_own && link.object_ == nullptr) return link;
        link.memory_.fill();
        if (link.memory_.empty()) return errc::no_memory;
        if (!wants_own) return link;
        link.own_ = machine::template create<object_type>(
            space.frames(), kind_of_own_object(request), request.pages.value << page_shift,
            dirty_tracking::off, object_owner::mappings);
        if (link.own_ == nullptr) return errc::no_memory;
        link.object_ = link.own_;
        return link;
    }

    /// Whose pages the mapping will show; nullptr: nobody's.
    [[nodiscard]] constexpr memory_object* object() const noexcept { return object_; }
    /// The mapping does not come about after all.
    constexpr void abandon() {
        if (own_ != nullptr) machine::destroy(own_);
    }
    /// The mapping of `span` is in the layout; page `file_page` of the object is its first.
    constexpr void connect(Space& space, page_span span, std::uint64_t file_page) noexcept {
        if (object_ != nullptr) {
            object_->note_mapping(space, span, file_page, std::move(memory_));
        }
    }

private:
    mapped_object<Space>* object_{nullptr};
    object_type* own_{nullptr};  // the same, if it is new
    mapping_stretch<Space> memory_{};
};

/// Nothing of `span` shows pages of an object any more, and the layout, still with its mappings in
/// `map`, is about to forget it: the objects are told. `memory` is for one whose mapping loses its
/// middle. Mm lock: held exclusively.
template<class Space>
constexpr void forget_objects(Space& space, vma_map<typename Space::machine> const& map,
                              page_span span, mapping_stretch<Space>& memory) noexcept {
    for (auto index = map.find_at_or_above(span.start());
         index < map.size() && map[index].span.overlaps(span); ++index) {
        auto* const object = static_cast<mapped_object<Space>*>(map[index].object);
        if (object == nullptr) continue;
        auto const part = detail::common_pages(map[index].span, span);
        auto const was_last = object->forget_mapping(space, part, memory);
        if (auto* const hugetlb = hugetlb_object_of<Space>(map[index])) {
            hugetlb->give_back_unmapped(space);
        }
        if (was_last && object->owner() == object_owner::mappings) {
            Space::machine::destroy(page_cache_of<Space>(map[index]));
        }
    }
}

}  // namespace mmhold
