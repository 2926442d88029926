// SPDX-License-Identifier: BSL-1.0
#pragma once

// Two processes that map the same object.

#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/page_cache.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmhold_test {

using namespace mmhold;

struct object_config : default_config<checked_host_machine> {
    using flush = struct noted {
        std::vector<page_span> spans{};
        void operator()(page_span span) { spans.push_back(span); }
    };
};

struct object_world {
    using space_type = address_space<object_config>;
    using cache = page_cache<space_type>;

    frame_pool<checked_host_machine> frames{page_count{256}, frame_bytes::owned};
    object_config::tables tables{page_count{64}};
    object_config::reclaimer domain{};
    null_observer nobody{};
    object_config::flush flush{};
    cpu<object_config::reclaimer> me{domain};
    space_type one{frames, tables, domain, nobody, flush};
    space_type two{frames, tables, domain, nobody, flush};
    cache object;

    explicit object_world(object_kind kind = object_kind::shmem, std::uint64_t pages = 8,
                          dirty_tracking tracking = dirty_tracking::off)
        : object{frames, kind, pages * page_size, tracking} {}
    ~object_world() {
        one.exit(me);
        two.exit(me);
    }

    static constexpr virt_addr base{std::uint64_t{1} << 32U};
    static constexpr virt_addr at(std::uint64_t n) { return base.plus_pages(n); }
    static page_span span(std::uint64_t first, std::uint64_t count) {
        return *page_span::from(at(first), page_count{count});
    }

    /// Page `first` of the object and those behind it, from page `place` of the space on.
    void map(space_type& space, std::uint64_t place, std::uint64_t first, std::uint64_t count,
             mmap_flags how = mmap_flag::shared) {
        auto request = object.request(first, page_count{count}, prot::rw, how);
        request.hint = at(place);
        request.flags = request.flags.with(mmap_flag::fixed);
        REQUIRE(space.mmap(me, request).has_value());
    }
    /// What a fault does: page `index` of the object at page `place`. The entry has the reference.
    pfn touch(space_type& space, std::uint64_t place, std::uint64_t index,
              protection rights = prot::rw) {
        auto const page = *object.find_or_add_zeroed(index);
        auto const leaf = page_entry::leaf_to(page, rights);
        auto const done = object.while_cached(index, page, [&] {
            auto entry = space.table().lock_leaf(me, at(place), 0, if_absent::create);
            REQUIRE(entry.has_value());
            entry->set(leaf);
            space.note_mapped(leaf, 1);
            return result<void>{};
        });
        REQUIRE(done.has_value());
        return page;
    }
    page_entry entry(space_type& space, std::uint64_t place) {
        auto const found = space.table().lock_leaf(me, at(place), 0, if_absent::fail);
        return found ? found->read() : page_entry{};
    }
    bool mapped(space_type& space, std::uint64_t place) { return !entry(space, place).none(); }
};

}  // namespace mmhold_test
