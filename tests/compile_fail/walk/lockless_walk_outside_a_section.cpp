// expect: not_an_irq_section
// expect(gcc): use of deleted function
// expect(clang): call to deleted member function 'seek'
// SPDX-License-Identifier: BSL-1.0
// The lockless walk needs interrupts off: the irq_section is the proof.
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/walk/lockless_walker.hpp>

using namespace mmhold;
using space = address_space<default_config<constexpr_machine>>;
using walker = lockless_walker<space>;

void probe(walker& walk, walker::cursor& cursor, cpu<space::reclaimer>& me) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    walk.seek(cursor, walk_request{}, me);
#else
    irq_section inside{me};
    walk.seek(cursor, walk_request{}, inside);
#endif
}
