// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_special_kinds(std::vector<kind>& out, surroundings const&) {
    rows more{out};
    more.add_unmodelled("ro_file_shared_fdRDONLY", "files are opened for reading and writing here");
    more.add_unmodelled("devzero_private", "no such mappings");
    more.add_unmodelled("vdso", "no pages of the kernel's own to hold");
    more.add_unmodelled("uring_ring_mmap, perf_mmap", "no drivers");
}

}  // namespace parity
