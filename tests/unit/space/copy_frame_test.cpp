// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame_pool.hpp>

using namespace mmhold;
using pool = frame_pool<checked_host_machine>;

TEST_CASE("a copy is one's own, and has the contents", "[space]") {
    pool frames{page_count{2}, frame_bytes::owned};
    auto const from = *frames.allocate(frame_kind::page_cache);
    frames.bytes(from)[page_size - 1] = std::byte{7};
    auto const copy = allocate_copy_of(frames, from);
    REQUIRE(copy.has_value());
    CHECK(frames.kind(*copy) == frame_kind::anonymous);
    CHECK(frames.exclusive(*copy));
    CHECK(frames.ref_count(*copy) == 1);
    CHECK(frames.bytes(*copy)[page_size - 1] == std::byte{7});
    CHECK(allocate_copy_of(frames, from).error() == errc::no_memory);
    frames.put(from);
    frames.put(*copy);
}

TEST_CASE("a pool without bytes copies nothing", "[space]") {
    pool frames{page_count{2}};
    auto const from = *frames.allocate(frame_kind::page_cache);
    auto const copy = allocate_copy_of(frames, from);
    REQUIRE(copy.has_value());
    CHECK(frames.bytes(*copy).empty());
    frames.put(from);
    frames.put(*copy);
}
