// expect(gcc): no matching function for call to
// expect(clang): no matching member function for call to 'load'
// expect: LoadOrder
// SPDX-License-Identifier: BSL-1.0
// A load cannot release: the order is part of the type.
#include <mmhold/machine/host_machine.hpp>

#include <cstdint>

std::uint32_t probe(mmhold::host_machine::atomic<std::uint32_t> const& word) {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return word.load(mmhold::release("probe.load"));
#else
    return word.load(mmhold::acquire("probe.load"));
#endif
}
