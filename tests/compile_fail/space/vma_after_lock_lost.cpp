// expect: mmhold: the mm lock was given up; look the vma up again after taking it
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

#include <utility>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::host_machine>>;
using shared = mmhold::held_shared<space_type::lock_type>;

int probe(space_type& space, mmhold::virt_addr at) {
    auto held = shared::acquire(space.lock());
    auto const found = space.find(at, held);
    auto const key = found->view(held).pkey;
    auto const dropped = held.give_up();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return key + found->view(dropped).pkey;  // somebody may have unmapped it meanwhile
#else
    return key + static_cast<int>(dropped.of(space.lock()));
#endif
}
