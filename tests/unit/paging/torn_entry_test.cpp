// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/paging/torn_entry.hpp>

#include <cstdint>

using namespace mmhold;

namespace {

constexpr std::uint64_t entry_a = 0x1'0000'1001;
constexpr std::uint64_t entry_b = 0x2'0000'2001;

constexpr bool keeps_what_is_set() {
    torn_entry<constexpr_machine> entry;
    if (entry.read() != 0) return false;
    entry.set(entry_a);
    if (entry.read() != entry_a) return false;
    if (entry.clear() != entry_a || entry.read() != 0) return false;
    entry.set(entry_b);
    entry.set(entry_b | 0x40);  // the same high half: no clearing needed
    return entry.read() == (entry_b | 0x40);
}
static_assert(keeps_what_is_set());

/// A reader against set, clear and another set, with different low halves.
struct read_against_change {
    static constexpr int actors = 2;
    torn_entry<model_machine> entry;
    void actor(int who) {
        if (who == 1) {
            entry.set(entry_a);
            (void)entry.clear();
            entry.set(entry_b);
            return;
        }
        auto const seen = entry.read();
        if ((seen & 1) != 0)
            model_machine::expect(seen == entry_a || seen == entry_b, "half and half");
    }
};

struct overwritten {
    static constexpr int actors = 1;
    torn_entry<model_machine> entry;
    void actor(int) {
        entry.set(entry_a);
        entry.set(entry_b);
    }
};

}  // namespace

TEST_CASE("torn_entry: what is set is read, what is cleared is none", "[paging]") {
    CHECK(keeps_what_is_set());
    torn_entry<host_machine> entry;
    entry.set(entry_a);
    CHECK(entry.read() == entry_a);
    CHECK(entry.clear() == entry_a);
    CHECK(entry.read() == 0);
}

TEST_CASE("torn_entry: a present entry is read whole, whatever the writer is doing", "[paging]") {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        plan how;
        how.memory = model;
        auto const all = explore<read_against_change>(how);
        INFO(all.first.headline);
        CHECK(all.complete());
    }
}

TEST_CASE("torn_entry: a present entry may not be replaced without being cleared", "[paging]") {
    CHECK(explore<overwritten>(plan{}).found(finding_kind::expectation));
}
