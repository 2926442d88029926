// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// A fault source of the host's own: a driver, a file system, a simulator's device
/// (vm_ops->fault). Derive, and name the object in mmap_request::source.
template<class Space>
class custom_source : public fault_source {
public:
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = fault_outcome<lock_type, typename Space::machine>;

    /// Answers a fault on a page of a vma that names this source, whether something is mapped
    /// there or not. Mm lock and outcome: as FaultHandler says for handle(). `site.area` is good
    /// until the lock is dropped. May be called by several cpus at once.
    virtual constexpr outcome answer(fault_site const& site, lock_authority<lock_type>& authority,
                                     cpu_type& me) = 0;

    /// What ptrace and /proc/PID/mem try where gup gets no page, as in device memory
    /// (vm_ops->access): copies the bytes at `at`, inside `area`, into `to`, or `from` there, and
    /// answers how many; 0: it cannot. Mm lock: held shared, and kept.
    virtual constexpr std::uint64_t read_remotely(vma const& area, virt_addr at,
                                                  std::span<std::byte> to) {
        (void)area, (void)at, (void)to;
        return 0;
    }
    virtual constexpr std::uint64_t write_remotely(vma const& area, virt_addr at,
                                                   std::span<std::byte const> from) {
        (void)area, (void)at, (void)from;
        return 0;
    }

protected:
    constexpr custom_source() noexcept : fault_source{source_kind::custom} {}
    constexpr ~custom_source() = default;
};

}  // namespace mmhold
