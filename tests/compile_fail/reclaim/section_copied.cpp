// expect(gcc): use of deleted function
// expect(clang): call to deleted constructor of
// expect: irq_section
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

void probe(mmhold::cpu<mmhold::hazard_domain<mmhold::host_machine>>& me) {
    mmhold::irq_section inside{me};
    mmhold::irq_section nested{me};  // another section: fine
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    auto copy = inside;
#endif
}
