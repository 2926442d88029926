// expect: derived_from
// SPDX-License-Identifier: BSL-1.0
// What can be retired says so by its base class: it has a key and knows how to be freed.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

using domain_type = mmhold::hazard_domain<mmhold::host_machine>;

#ifndef MMHOLD_COMPILE_FAIL_CONTROL
struct table {};
#else
struct table : mmhold::retired_object {};
#endif

void probe(domain_type& domain, domain_type::record& mine, table& unlinked) {
    domain.retire(mine, unlinked);
}
