// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_special_kinds(std::vector<kind>& out, surroundings const& where) {
    constexpr unsigned r = 1, rw = 3, rx = 5;
    rows more{out};
    auto const loaded = on_odd(op::load);
    auto const stored = on_odd(op::store);
    more.add("ro_file_shared_fdRDONLY", {mapped(r, memory::file_ro)});
    more.add("devzero_private", {mapped(rw, memory::dev_zero)});
    more.add("devzero_private_ro", {mapped(r, memory::dev_zero), loaded});
    out.push_back({.name = "vdso",
                   .prepare = {mapped(rx, memory::vdso)},
                   .odd_first = where.vdso_at,
                   .has_neighbours = false});
    more.add("uring_ring_mmap", {mapped(rw, memory::ring)});
    more.add("uring_ring_ro", {mapped(r, memory::ring)});
    more.add("uring_ring_discarded", {mapped(rw, memory::ring), on_odd(op::discard)});
    more.add("uring_ring_after_fork", {mapped(rw, memory::ring), on_odd(op::fork)});
    more.add("perf_mmap", {mapped(rw, memory::perf)});
    more.add("perf_mmap_stored", {mapped(rw, memory::perf), stored});
    more.add("perf_mmap_ro", {mapped(r, memory::perf)});
}

}  // namespace parity
