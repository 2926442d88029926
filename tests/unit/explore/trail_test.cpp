// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/trail.hpp>

#include <cstdint>

using namespace mmhold::detail;

namespace {

/// Opens what only the search may do.
struct opened : trail {
    opened() : trail{100} { make_room(room_for(100)); }
    using trail::event_at;
    using trail::last_global_;
    using trail::last_heavy_;
    using trail::last_ordered_;
    using trail::recorded_;
    using trail::take_back;
    using trail::usage_of;

    void add(process by, footprint what, std::int16_t forwarded = -1) {
        step s;
        s.by = by;
        s.what = what;
        s.forwarded = forwarded;
        auto const now = static_cast<std::int16_t>(recorded_);
        event_at(now).sequence = next_sequence(by);
        remember(now, s);
    }
};

footprint use(std::uint32_t word, process owner, unsigned marks) {
    return {word, owner, static_cast<std::uint8_t>(marks)};
}

bool same(usage const& a, usage const& b) {
    for (std::size_t q = 0; q < max_actors; ++q) {
        if (a.last_read[q] != b.last_read[q]) return false;
    }
    return a.last_write == b.last_write && a.readers == b.readers;
}

}  // namespace

TEST_CASE("trail: a write forgets the readers, and a drain brings the forwarded load along",
          "[explore]") {
    opened h;
    h.add(0, use(2, 0, footprint::reads));
    h.add(1, use(2, 1, footprint::reads));
    CHECK(h.usage_of(2).readers == 0b11);
    h.add(buffer_of(1), use(2, 1, footprint::writes), 1);
    CHECK(h.usage_of(2).last_write == 2);
    CHECK(h.usage_of(2).readers == 0b10);
    CHECK(h.usage_of(2).last_read[1] == 1);
    CHECK(h.last_step_of(buffer_of(1)) == 2);
}

TEST_CASE("trail: steps that are taken back leave no trace", "[explore]") {
    opened h;
    h.add(0, use(40, 0, footprint::writes));
    h.add(1, use(40, 1, footprint::reads | footprint::ordered));
    usage const then = h.usage_of(40);
    h.add(0, use(40, 0, footprint::reads | footprint::writes));
    h.add(1, use(40, 1, footprint::reads));
    h.add(2, use(0, 2, footprint::drains_all));
    h.add(1, use(0, 1, footprint::global));
    h.add(1, use(41, 1, footprint::reads | footprint::writes | footprint::ordered));
    h.add(buffer_of(0), use(40, 0, footprint::writes), 2);
    h.take_back(2);
    CHECK(same(h.usage_of(40), then));
    CHECK(same(h.usage_of(41), usage{}));
    CHECK(h.last_step_of(0) == 0);
    CHECK(h.last_step_of(1) == 1);
    CHECK(h.last_step_of(2) == -1);
    CHECK(h.last_step_of(buffer_of(0)) == -1);
    CHECK(h.last_ordered_ == 1);
    CHECK(h.last_heavy_[2] == -1);
    CHECK(h.last_global_ == -1);
    h.take_back(0);
    CHECK(same(h.usage_of(40), usage{}));
    CHECK(h.last_ordered_ == -1);
    CHECK(h.last_step_of(1) == -1);
}
