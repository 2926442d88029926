// SPDX-License-Identifier: BSL-1.0
// An observer that does not listen costs nothing: both functions must compile to the same code.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/observe/null_observer.hpp>

#include <cstdint>

extern "C" std::uint64_t null_observer_subject(std::uint64_t* page, std::uint32_t actor) {
    mmhold::null_observer nobody;
    using enum mmhold::event_kind;
    mmhold::notify<mmhold::host_machine>(nobody, fault_begin, actor, *page, 1);
    *page += 1;
    mmhold::notify<mmhold::host_machine>(nobody, fault_end, actor, *page, 1);
    return *page;
}

extern "C" std::uint64_t null_observer_reference(std::uint64_t* page, std::uint32_t) {
    *page += 1;
    return *page;
}
