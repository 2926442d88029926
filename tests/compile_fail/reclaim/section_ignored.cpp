// expect(gcc): ignoring return value
// expect(clang): ignoring temporary
// expect: nodiscard
// SPDX-License-Identifier: BSL-1.0
// A section without a name ends at once: interrupts are on again when the walk begins.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

using section = mmhold::irq_section<mmhold::hazard_domain<mmhold::host_machine>>;

void probe(mmhold::cpu<mmhold::hazard_domain<mmhold::host_machine>>& me) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    section{me};
#else
    section inside{me};
#endif
}
