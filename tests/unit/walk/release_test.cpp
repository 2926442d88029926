// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/walk/release.hpp>

using namespace mmhold;

TEST_CASE("release_pages is the inverse of try_grab for every way of holding", "[walk]") {
    frame_pool<checked_host_machine> frames{page_count{16}};
    for (unsigned const order : {0U, 2U}) {
        auto const page = *frames.allocate(frame_kind::anonymous, order);
        for (auto const how : {holding::none, holding::reference, holding::pin}) {
            auto const before = frames.counts(page);
            REQUIRE(frames.try_grab(page, order + 1, how, {}));
            release_pages(frames, page, order + 1, how);
            CHECK(frames.counts(page) == before);
        }
        frames.put(page);
    }
}
