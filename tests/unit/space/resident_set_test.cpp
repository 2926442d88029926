// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/resident_set.hpp>

#include "support/catch.hpp"

using namespace mmhold;

namespace {

constexpr bool works_in_constant_evaluation() {
    resident_set<constexpr_machine> pages;
    pages.add(frame_kind::anonymous, {}, 512);
    pages.remove(frame_kind::anonymous, {}, 500);
    return pages.now().total() == 12;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("resident pages are counted by what they are") {
    resident_set<checked_host_machine> pages;
    CHECK(pages.now() == resident_pages{});
    pages.add(frame_kind::anonymous, {}, 3);
    pages.add(frame_kind::page_cache, {}, 5);
    pages.add(frame_kind::page_cache, frame_attribute::shmem, 7);
    pages.add(frame_kind::other, {}, 1);
    CHECK(pages.now() == resident_pages{3, 6, 7});
    CHECK(pages.now().total() == 16);
    pages.remove(frame_kind::page_cache, frame_attribute::shmem, 7);
    pages.remove(frame_kind::anonymous, {}, 1);
    CHECK(pages.now() == resident_pages{2, 6, 0});
}
