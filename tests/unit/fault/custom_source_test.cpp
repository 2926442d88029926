// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/custom_source.hpp>
#include <mmhold/fault/dispatch.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;

namespace {

/// A device that gives up the lock the first time it is asked and fails on its third page.
struct toy_device final : mm::custom_source<fault_space> {
    int asked = 0;
    outcome answer(mm::fault_site const& site, mm::lock_authority<fault_lock>& authority_given,
                   fault_cpu&) override {
        ++asked;
        auto const page = (site.page().value - site.area->span.start().value) / mm::page_size;
        if (page == 2) return outcome::failed(errc::hardware_poison);
        if (auto may = authority_given.permission()) return outcome::retry(may->drop(), {});
        return outcome::installed();
    }
};

}  // namespace

TEST_CASE("a source of the host's own answers the faults of its vmas", "[fault][custom-source]") {
    fault_world world;
    toy_device device;
    mm::dispatch<fault_space> faults{world.space};
    CHECK(device.kind() == mm::source_kind::custom);
    auto const at = world.map(0, 3, mm::prot::rw, {}, &device);
    world.map(3, 1);
    auto const dropped = world.droppable_fault(faults, at, flags::retry);
    CHECK(dropped.kind() == fault_kind::retry_lock_dropped);
    CHECK_FALSE(dropped.holding());
    CHECK(world.fault(faults, at, flags::read).kind() == fault_kind::installed);
    CHECK(world.fault(faults, world.page(2), flags::read).error() == errc::hardware_poison);
    CHECK(device.asked == 3);
    world.touch(faults, world.page(3), flags::write);
    CHECK(device.asked == 3);
}
