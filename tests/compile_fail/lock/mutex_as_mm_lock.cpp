// expect: mmhold: an mm lock needs bool try_lock_shared() and void unlock_shared()
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/lock/held.hpp>


using fits = mmhold::held_shared<std::shared_mutex>;
static_assert(sizeof(fits) != 0);
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
static_assert(sizeof(mmhold::held_shared<std::mutex>) != 0);
#endif
