// SPDX-License-Identifier: BSL-1.0
// With membarrier a protected section is nothing but its stores: two for the section, one per
// level, and the owner's own count; no fence instruction, no locked instruction, no call.
// codegen(section): no longer
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_record.hpp>

#include <cstdint>

using M = mmhold::basic_host_machine<mmhold::asymmetric_fence::membarrier>;

namespace {

struct bare_record {
    std::uint64_t section;
    std::uint64_t slots[5];
    std::uint64_t own_number;
};

void store_release(std::uint64_t& word, std::uint64_t value) {
    __atomic_store_n(&word, value, __ATOMIC_RELEASE);
    asm volatile("" ::: "memory");
}

}  // namespace

extern "C" void section_subject(mmhold::hazard_record<M>* mine, std::uint64_t upper,
                                std::uint64_t lower) {
    mine->enter_section();
    mine->protect(1, upper);
    mine->protect(0, lower);
    mine->leave_section();
}
extern "C" void section_reference(bare_record* mine, std::uint64_t upper, std::uint64_t lower) {
    mine->own_number += 1;
    store_release(mine->section, mine->own_number);
    store_release(mine->slots[1], upper);
    store_release(mine->slots[0], lower);
    mine->own_number += 1;
    store_release(mine->section, mine->own_number);
}
