// expect: mmhold: a temporary witness ends its hold at once; give it a name
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::host_machine>>;
using shared = mmhold::held_shared<space_type::lock_type>;

bool probe(space_type& space, mmhold::virt_addr at) {
    auto const held = shared::acquire(space.lock());
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    auto const found = space.find(at, shared::acquire(space.lock()));  // unlocked when it returns
#else
    auto const found = space.find(at, held);
#endif
    return found.has_value();
}
