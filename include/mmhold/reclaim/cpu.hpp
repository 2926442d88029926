// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/task.hpp>
#include <mmhold/reclaim/reclaimer.hpp>
#include <mmhold/vocab/access.hpp>

#include <cstdint>

namespace mmhold {

template<Reclaimer R>
class irq_section;

namespace detail {

/// Is it worth keeping books for M::expect()? Not if the machine says that it ignores expectations.
template<Machine M>
inline constexpr bool keeps_books = true;
template<Machine M>
    requires(!M::checked)
inline constexpr bool keeps_books<M> = false;

}  // namespace detail

/// What one cpu has done. Plain counters: only the cpu's own actor writes them (walk, fault and gup
/// do the counting).
struct cpu_statistics {
    std::uint64_t fast_pages{0};      ///< pages held by the lockless walk
    std::uint64_t fast_fallbacks{0};  ///< gup_fast calls that had to go on under the lock
    std::uint64_t slow_pages{0};      ///< pages held under the mm lock
    std::uint64_t faults{0};          ///< faults asked of a fault handler
    std::uint64_t fault_retries{0};   ///< of these, answered RETRY
    std::uint64_t lock_drops{0};      ///< times the mm lock was given up on the way

    friend constexpr bool operator==(cpu_statistics const&, cpu_statistics const&) = default;
};

/// The one who runs: everything that Linux would find in per-cpu data or in `current`, passed
/// explicitly.
///
/// A cpu is used by one actor at a time. A threaded host makes one per thread; a simulator makes
/// one per simulated CPU and may run many of them on one thread: they do not see each other's
/// sections. It joins its domain on construction and leaves it on destruction, and must not outlive
/// it.
template<Reclaimer R>
class cpu {
public:
    using reclaimer = R;
    using machine = typename R::machine;

    /// Joins `domain`. If memory is exhausted the cpu is not valid(): functions that take a cpu
    /// then answer errc::no_memory, and no section can be opened on it.
    constexpr explicit cpu(R& domain) : domain_{&domain}, record_{domain.join()} {}
    cpu(cpu const&) = delete;
    cpu& operator=(cpu const&) = delete;
    /// Leaves the domain. Precondition: no section is open.
    constexpr ~cpu() {
        machine::expect(irq_depth_ == 0, "a cpu is destroyed inside an irq_section");
        if (record_ != nullptr) domain_->leave(*record_);
    }

    /// Did joining succeed?
    [[nodiscard]] constexpr bool valid() const noexcept { return record_ != nullptr; }

    /// The domain it has joined.
    [[nodiscard]] constexpr R& domain() const noexcept { return *domain_; }
    /// Its place in the domain. Precondition: valid().
    [[nodiscard]] constexpr typename R::record& record() const noexcept {
        machine::expect(valid(), "a cpu that could not join its domain was used");
        return *record_;
    }
    /// The actor number that observers see: small, and unique among the cpus joined now. ~0 if not
    /// valid().
    [[nodiscard]] constexpr std::uint32_t id() const noexcept {
        return valid() ? record_->id() : ~std::uint32_t{0};
    }

    /// How many irq_sections are open on this cpu, one inside the other.
    [[nodiscard]] constexpr unsigned irq_depth() const noexcept { return irq_depth_; }
    [[nodiscard]] constexpr bool interrupts_off() const noexcept { return irq_depth_ != 0; }

    /// The cpu's protection-key register; starts with every right.
    [[nodiscard]] constexpr protection_key_rights key_rights() const noexcept {
        return key_rights_;
    }
    constexpr void set_key_rights(protection_key_rights rights) noexcept { key_rights_ = rights; }

    /// The task that runs here, which sleeps when a call must wait and receives the signals that
    /// end such waits. A cpu starts out running a task of its own.
    [[nodiscard]] constexpr task<machine>& current() const noexcept { return *current_; }
    /// Switches to `other`, which must stay alive while it is current. Not inside a section.
    constexpr void run(task<machine>& other) noexcept {
        machine::expect(irq_depth_ == 0, "a cpu switches tasks inside an irq_section");
        current_ = &other;
    }

    /// What it has done so far.
    [[nodiscard]] constexpr cpu_statistics& stats() noexcept { return stats_; }
    [[nodiscard]] constexpr cpu_statistics const& stats() const noexcept { return stats_; }

private:
    friend class irq_section<R>;

    R* domain_;
    typename R::record* record_;
    unsigned irq_depth_{0};
    // Bit n: an open section has protected something at level n. Only where books are kept.
    std::uint32_t levels_in_use_{0};
    protection_key_rights key_rights_{};
    cpu_statistics stats_{};
    task<machine> idle_{};
    task<machine>* current_{&idle_};
};

}  // namespace mmhold
