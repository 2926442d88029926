// expect(gcc): no matching function for call to
// expect(clang): no matching member function for call to 'view'
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::host_machine>>;
using shared = mmhold::held_shared<space_type::lock_type>;

int probe(mmhold::vma_ref<space_type::lock_type> const& found, shared const& held) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return found.view().pkey + held.holding();  // that somebody holds the lock is not enough
#else
    return found.view(held).pkey;
#endif
}
