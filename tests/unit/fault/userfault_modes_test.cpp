// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/userfault_modes.hpp>

using mmhold::userfault_feature;
using mmhold::userfault_mode;
using mmhold::vma_flag;

TEST_CASE("modes and vma flags stand for each other", "[fault][userfault]") {
    CHECK(mmhold::flags_for({}).empty());
    CHECK(mmhold::flags_for(userfault_mode::missing) ==
          mmhold::vma_flags{vma_flag::userfault_missing});
    CHECK(mmhold::flags_for({userfault_mode::missing, userfault_mode::write_protect,
                             userfault_mode::minor}) == mmhold::all_userfault_flags);
}

TEST_CASE("a source without modes is asked for missing pages", "[fault][userfault]") {
    mmhold::vma area;
    CHECK(mmhold::asks_for_missing(area));
    CHECK_FALSE(mmhold::asks_for_writes(area));
    area.flags = vma_flag::userfault_wp;
    CHECK_FALSE(mmhold::asks_for_missing(area));
    CHECK(mmhold::asks_for_writes(area));
    area.flags = {vma_flag::userfault_wp, vma_flag::userfault_missing};
    CHECK(mmhold::asks_for_missing(area));
}

TEST_CASE("pages to come are marked in shared memory, in anonymous memory on request",
          "[fault][userfault]") {
    mmhold::vma area;
    CHECK(mmhold::absent_marks(area, {}) == mmhold::mark_absent::no);
    CHECK(mmhold::absent_marks(area, userfault_feature::wp_unpopulated) ==
          mmhold::mark_absent::yes);
    CHECK(mmhold::absent_marks(area, userfault_feature::wp_async) == mmhold::mark_absent::yes);
    area.kind = mmhold::vma_kind::shmem;
    CHECK(mmhold::absent_marks(area, {}) == mmhold::mark_absent::yes);
}
