// expect: mmhold: a temporary witness ends its hold at once; give it a name
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

#include <utility>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::host_machine>>;
using shared = mmhold::held_shared<space_type::lock_type>;

mmhold::vma const& probe(mmhold::vma_ref<space_type::lock_type> const& found, shared& held) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return found.view(std::move(held));
#else
    return found.view(held);
#endif
}
