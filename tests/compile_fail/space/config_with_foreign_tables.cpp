// expect: SpaceConfig
// expect(gcc): template constraint failure
// expect(clang): constraints not satisfied
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

struct mixed : mmhold::default_config<mmhold::host_machine> {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    using format = mmhold::x86_64<5>;  // but the tables are still those of 4 levels
#endif
};

bool probe(mmhold::address_space<mixed>& space) { return space.valid(); }
