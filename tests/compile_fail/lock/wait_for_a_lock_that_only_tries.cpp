// expect(gcc): use of deleted function
// expect(clang): call to deleted function
// expect: acquire
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/held.hpp>

struct tries_only {
    bool try_lock_shared();
    void unlock_shared();
    bool try_lock();
    void unlock();
};

void probe(tries_only& lock) {
    (void)mmhold::held_shared<tries_only>::try_acquire(lock);
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    (void)mmhold::held_shared<tries_only>::acquire(lock);
#endif
}
