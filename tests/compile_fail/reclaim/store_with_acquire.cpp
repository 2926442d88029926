// expect(gcc): no matching function for call to
// expect(clang): no matching member function for call to 'store'
// expect: StoreOrder
// SPDX-License-Identifier: BSL-1.0
// Nor can a store acquire.
#include <mmhold/machine/host_machine.hpp>

#include <cstdint>

void probe(mmhold::host_machine::atomic<std::uint32_t>& word) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    word.store(1, mmhold::acquire("probe.store"));
#else
    word.store(1, mmhold::release("probe.store"));
#endif
}
