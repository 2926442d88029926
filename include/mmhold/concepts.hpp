// SPDX-License-Identifier: BSL-1.0
#pragma once

// The concepts of the library, one page each, and nothing that models them: no Boost, no <atomic>,
// no <thread>.

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/gup/profile.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/observe/observer.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_memory.hpp>
#include <mmhold/reclaim/reclaimer.hpp>
#include <mmhold/walk/page_walker.hpp>
