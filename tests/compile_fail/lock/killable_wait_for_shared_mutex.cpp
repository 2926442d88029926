// expect: no matching function for call to
// expect: InterruptibleMmLock
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <shared_mutex>

void probe(std::shared_mutex& lock, mmhold::task<mmhold::host_machine>& me) {
    using held = mmhold::held_shared<std::shared_mutex>;
    (void)held::acquire(lock);
    (void)me.fatal_signal_pending();
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    (void)held::acquire(lock, me, mmhold::wait_mode::killable);
#endif
}
