// expect(gcc): use of deleted function
// expect(clang): conversion function from
// expect(clang): invokes a deleted function
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

using space_type = mmhold::address_space<mmhold::default_config<mmhold::host_machine>>;
using shared = mmhold::held_shared<space_type::lock_type>;
using exclusive = mmhold::held_exclusive<space_type::lock_type>;

bool probe(space_type& space, space_type::cpu_type& me, mmhold::page_span span) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    auto const held = shared::acquire(space.lock());  // mmap and munmap need it exclusively
#else
    auto const held = exclusive::acquire(space.lock());
#endif
    return space.munmap_locked(held, me, span).has_value();
}
