// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/frame.hpp>

#include "support/catch.hpp"

using namespace mmhold;
using state = detail::frame_state;

static_assert(sizeof(detail::frame<constexpr_machine>) == 32);
static_assert(sizeof(detail::frame<host_machine>) == 32, "a million frames: 32 MiB");
static_assert(state::kind(0) == frame_kind::free && state::order(0) == 0);
static_assert(state::attributes(0).empty());

TEST_CASE("1.3 a pin of a small folio is 1024 references") { CHECK(pin_bias == 1024); }

TEST_CASE("the fields of a frame's state do not touch each other") {
    for (auto const kind : {frame_kind::free, frame_kind::anonymous, frame_kind::page_cache,
                            frame_kind::zero, frame_kind::other}) {
        for (unsigned order = 0; order <= max_frame_order; ++order) {
            auto const attributes = frame_attributes{frame_attribute::secret,
                                                     frame_attribute::longterm_forbidden};
            auto const word = state::make(kind, order) | state::with(attributes)
                              | state::exclusive | state::dirty;
            CHECK(state::kind(word) == kind);
            CHECK(state::order(word) == order);
            CHECK(state::attributes(word) == attributes);
            CHECK((word & state::accessed) == 0);
            CHECK((word & state::in_free_list) == 0);
        }
    }
}

TEST_CASE("what a state says about the folio and about the page are different bits") {
    auto const everything = state::make(frame_kind::page_cache, 9) | state::exclusive
                            | state::dirty | state::accessed
                            | state::with(frame_attribute::shmem);
    CHECK((state::folio_part(everything) & state::page_part(everything)) == 0);
    CHECK(state::order(state::folio_part(everything) | state::page_part(everything)) == 0);
    CHECK(state::kind(state::page_part(everything)) == frame_kind::page_cache);
    CHECK(state::attributes(state::folio_part(everything)) == frame_attribute::shmem);
}
