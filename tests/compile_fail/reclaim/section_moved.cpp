// expect(gcc): use of deleted function
// expect(clang): call to deleted constructor of
// expect: irq_section
// SPDX-License-Identifier: BSL-1.0
// Interrupts cannot be handed on: a section ends where it began.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <utility>

void probe(mmhold::cpu<mmhold::hazard_domain<mmhold::host_machine>>& me) {
    mmhold::irq_section inside{me};
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    auto moved = std::move(inside);
#endif
}
