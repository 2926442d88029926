// SPDX-License-Identifier: BSL-1.0
#pragma once

// torn_entry – a 64-bit page-table entry on a machine that reads and writes 32 bits at a time
// (x86 PAE; gup-semantics §5.3, §6.2 #31).
//
// The present bit is in the low half, so whoever sees it set believes the high half as well.
//
// Writer    under the table's lock. Set (of an entry that is not present): high → low. Clear:
//           low → high. So while a half belongs to the old entry and the other to the new one, the
//           entry is not present.
// Reader    without a lock: low → high → low AGAIN. The lows differ? Once more.
// Why       Between two equal lows lies a whole entry, unless the entry was cleared and set again
//           with the same low half and another high one. That takes a flush in between, which
//           waits for every reader with interrupts off; so the reader has them off, and whoever
//           sets an entry again has flushed since the clearing.
// Not given atomic update: two writers, or a writer and the hardware's accessed and dirty bits.

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>

#include <cstdint>

namespace mmhold {

/// An entry in two halves. Readers are inside an irq_section; writers hold the table's lock.
template<Machine M>
class torn_entry {
public:
    /// The bit that says that an entry means something to the hardware; in the low half.
    static constexpr std::uint64_t present = 1;

    /// None: all bits zero.
    constexpr torn_entry() noexcept = default;
    torn_entry(torn_entry const&) = delete;
    torn_entry& operator=(torn_entry const&) = delete;
    constexpr ~torn_entry() = default;

    /// The entry: an old or a new one, never half and half. Waits for a writer between its two
    /// steps only if the low half changes under it.
    [[nodiscard]] constexpr std::uint64_t read() const noexcept {
        for (;;) {
            // (torn.low) acquire: the high half is not older than this low half; pairs with
            // (torn.set_low).
            auto const low = low_.load(acquire("torn.low"));
            // (torn.high) acquire: if this half is a newer one, the low half is seen to have been
            // cleared before; pairs with (torn.clear_high, torn.set_high).
            auto const high = high_.load(acquire("torn.high"));
            if (low_.load(relaxed) == low) return joined(low, high);
            M::relax();
        }
    }

    /// Writes `entry` where the entry is not present, or is present with the same high half.
    /// Table lock: held. An entry that was present before has been flushed since.
    constexpr void set(std::uint64_t entry) noexcept {
        M::expect((low_.load(relaxed) & present) == 0 || high_.load(relaxed) == high_of(entry),
                  "torn_entry::set: a present entry is cleared and flushed before another is set");
        // (torn.set_high) release: the low half was cleared before; pairs with (torn.high).
        high_.store(high_of(entry), release("torn.set_high"));
        // (torn.set_low) release: who sees this low half sees the high one; pairs with (torn.low).
        low_.store(low_of(entry), release("torn.set_low"));
    }

    /// Makes the entry none and answers what it was. Table lock: held. Before it is set again:
    /// flush.
    constexpr std::uint64_t clear() noexcept {
        auto const old = joined(low_.load(relaxed), high_.load(relaxed));
        low_.store(0, relaxed);
        // (torn.clear_high) release: the low half was cleared first; pairs with (torn.high).
        high_.store(0, release("torn.clear_high"));
        return old;
    }

private:
    using half = std::uint32_t;
    static constexpr unsigned half_bits = 32;

    [[nodiscard]] static constexpr half low_of(std::uint64_t entry) noexcept {
        return static_cast<half>(entry);
    }
    [[nodiscard]] static constexpr half high_of(std::uint64_t entry) noexcept {
        return static_cast<half>(entry >> half_bits);
    }
    [[nodiscard]] static constexpr std::uint64_t joined(half low, half high) noexcept {
        return (std::uint64_t{high} << half_bits) | low;
    }

    typename M::template atomic<half> low_{0};
    typename M::template atomic<half> high_{0};
};

}  // namespace mmhold
