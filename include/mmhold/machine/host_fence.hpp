// SPDX-License-Identifier: BSL-1.0
#pragma once

// The asymmetric fence of the host, in its two forms.
//
//   membarrier  light: nothing but a compiler barrier.  heavy: membarrier(PRIVATE_EXPEDITED) makes
//               every running thread of the process execute a full barrier (Linux 4.14; about 8.5
//               us with another thread running, and it stops that thread for 4-5 us: retire in
//               batches).
//   locked      light and heavy: one locked read-modify-write instruction, 3-4 ns.  (mfence takes
//               26-32 ns, and is what some compilers emit for std::atomic_thread_fence;
//               Boost.Atomic's fence is lock-prefixed.)
//
// The two must not be mixed: a light fence of the first form is only a fence if the heavy one is of
// the first form too.

#include <boost/atomic/fences.hpp>

#include <cstdint>

#if defined(__linux__) && __has_include(<linux/membarrier.h>)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mmhold {

/// Which form of the asymmetric fence a host uses.
enum class asymmetric_fence : std::uint8_t {
    automatic,   ///< membarrier where the running kernel offers it, else locked
    membarrier,  ///< membarrier; the program stops at its first heavy fence if the kernel refuses
    locked,      ///< a locked instruction on both sides
};

namespace detail {

/// ThreadSanitizer slows threads down so much that a free light fence buys nothing: locked there.
[[nodiscard]] constexpr bool under_thread_sanitizer() noexcept {
#if defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

/// Asks the kernel to let this process use expedited membarriers; false where it cannot.
[[nodiscard]] inline bool register_membarrier() noexcept {
    if (under_thread_sanitizer()) return false;
#if defined(__linux__) && defined(SYS_membarrier)
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#else
    return false;
#endif
}

/// Answered once, before main(). Until then it reads false, and both sides use the locked form –
/// which is sound as long as no second thread runs during static initialisation.
inline bool const membarrier_registered = register_membarrier();

/// A full barrier in every thread of the process; false if the kernel refused.
inline bool run_membarrier() noexcept {
#if defined(__linux__) && defined(SYS_membarrier)
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
#else
    return false;
#endif
}

template<asymmetric_fence Choice>
[[nodiscard]] inline bool uses_membarrier() noexcept {
    if constexpr (Choice == asymmetric_fence::automatic) return membarrier_registered;
    return Choice == asymmetric_fence::membarrier;
}

template<asymmetric_fence Choice>
inline void host_light_fence() noexcept {
    if (uses_membarrier<Choice>()) {
        boost::atomic_signal_fence(boost::memory_order_seq_cst);
    } else {
        boost::atomic_thread_fence(boost::memory_order_seq_cst);
    }
}

template<asymmetric_fence Choice>
inline void host_heavy_fence() noexcept {
    // Our own earlier stores and later loads are ordered by the locked instruction in both forms.
    boost::atomic_thread_fence(boost::memory_order_seq_cst);
    if (uses_membarrier<Choice>() && !run_membarrier()) __builtin_trap();
}

}  // namespace detail

/// Does the running kernel offer the membarrier form? (Tests that force it ask first and skip with
/// this reason.)
[[nodiscard]] inline bool membarrier_available() noexcept { return detail::membarrier_registered; }

}  // namespace mmhold
