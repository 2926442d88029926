// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_uffd_kinds(std::vector<kind>& out) {
    rows more{out};
    more.add_unmodelled("uffd_wp, uffd_minor, uffd_missing_shmem",
                        "userfaults of missing private pages only");
    more.add_unmodelled("uffd_poison_marker", "no markers");
}

}  // namespace parity
