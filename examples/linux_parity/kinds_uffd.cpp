// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_uffd_kinds(std::vector<kind>& out) {
    constexpr unsigned r = 1;
    constexpr unsigned rw = 3;
    constexpr auto wp = memory::faults_wp;
    constexpr auto own = memory::faults;
    constexpr auto shared = memory::faults_shared;
    constexpr auto minor = memory::faults_minor;
    auto const on_odd_of = [](op what, memory of) { return on_odd(what, rw, of); };
    auto const stored = on_odd(op::store);
    auto const protect = on_odd_of(op::wp_on, wp);
    auto const poisoned = on_odd_of(op::poison, own);
    rows more{out};
    more.add("uffd_wp", {mapped(rw, wp), stored, protect});
    more.add("uffd_wp_ro_vma", {mapped(rw, wp), stored, protect, protected_to(r)});
    more.add("uffd_wp_untouched", {mapped(rw, wp), protect});
    more.add("uffd_wp_zeropage", {mapped(rw, wp), on_odd_of(op::zero, wp), protect});
    more.add("uffd_wp_lifted", {mapped(rw, wp), stored, protect, on_odd_of(op::wp_off, wp)});
    more.add("uffd_wp_unregistered",
             {mapped(rw, wp), stored, protect, on_odd_of(op::unregister, wp)});
    more.add("uffd_wp_cow_shared", {mapped(rw, wp), stored, protect, on_odd(op::fork)});
    more.add("uffd_minor_shmem", {mapped(rw, minor)});
    more.add("uffd_minor_shmem_populated", {mapped(rw, minor), on_odd_of(op::go_on, minor)});
    more.add("uffd_missing_shmem", {mapped(rw, shared)});
    more.add("uffd_missing_shmem_populated", {mapped(rw, shared), stored});
    more.add("uffd_poison_marker", {mapped(rw, own), poisoned});
    more.add("uffd_poison_marker_ro", {mapped(rw, own), poisoned, protected_to(r)});
    more.add("uffd_poison_marker_prot_none", {mapped(rw, own), poisoned, protected_to(0)});
    more.add("uffd_poison_shmem", {mapped(rw, shared), on_odd_of(op::poison, shared)});
}

}  // namespace parity
