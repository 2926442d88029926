// SPDX-License-Identifier: BSL-1.0
#pragma once

// All of mmhold on real threads: the whole library except the bridges to other libraries (adapt/),
// the explorer (explore/) and the laws (laws/).

#include <mmhold/callers/core_dump.hpp>
#include <mmhold/callers/direct_io.hpp>
#include <mmhold/callers/fixup_user_fault.hpp>
#include <mmhold/callers/futex_key.hpp>
#include <mmhold/callers/kvm.hpp>
#include <mmhold/callers/mlock.hpp>
#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/callers/single_read.hpp>
#include <mmhold/callers/uring_buffers.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/callers/video_capture.hpp>
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/fault/special.hpp>
#include <mmhold/fwd.hpp>
#include <mmhold/gup/faultin.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/memfd_pin.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/remote.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/observed_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/observe/attributed.hpp>
#include <mmhold/observe/counters.hpp>
#include <mmhold/observe/ring_buffer.hpp>
#include <mmhold/observe/trace_writer.hpp>
#include <mmhold/reclaim/gather.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/memory_failure.hpp>
#include <mmhold/space/numa_hints.hpp>
#include <mmhold/space/pinned.hpp>
