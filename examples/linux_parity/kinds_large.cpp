// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_large_kinds(std::vector<kind>& out) {
    rows more{out};
    more.add_unmodelled("thp", "anonymous memory comes in small pages only");
    more.add_unmodelled("hugetlb_rw, hugetlb_ro_private, hugetlb_ro_shared", "no hugetlb");
}

}  // namespace parity
