// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/frame_pool.hpp>

using namespace mmhold;

TEST_CASE("only a counted leaf maps a frame, and only some of those are anonymous", "[space]") {
    frame_pool<checked_host_machine> frames{page_count{4}};
    auto const own = *frames.allocate(frame_kind::anonymous);
    auto const cached = *frames.allocate(frame_kind::page_cache);
    auto const leaf = [](pfn page) { return page_entry::leaf_to(page, prot::rw); };
    CHECK(maps_anonymous(frames, leaf(own)));
    CHECK(maps_frame(frames, leaf(cached)));
    CHECK_FALSE(maps_anonymous(frames, leaf(cached)));
    auto special = leaf(frames.zero_page());
    special.special = true;
    CHECK_FALSE(maps_frame(frames, special));
    CHECK_FALSE(maps_frame(frames, leaf(pfn{1})));  // not the pool's
    CHECK_FALSE(maps_frame(frames, page_entry::marker_for(3, own.value)));
    CHECK_FALSE(maps_frame(frames, page_entry::table_to(own)));
    CHECK_FALSE(maps_frame(frames, page_entry{}));
    frames.put(own);
    frames.put(cached);
}
