// SPDX-License-Identifier: BSL-1.0
#pragma once

// ring_buffer – the last N events, written by any number of CPUs, none of which ever waits.
//
// Writer   takes a ticket (1, 2, 3, ...) → claims the ticket's slot: stamp becomes odd → writes
//          four words → publishes: stamp becomes even and names the ticket. A slot that is still
//          being written (its writer was stopped for a whole round of the ring), or that already
//          holds a newer event, is left alone: this event is lost, nobody waits.
// Reader   sees the stamp of the ticket it wants → reads the words → looks at the stamp again.
//          Anything else than the same stamp twice means: not written yet, lost, or overwritten
//          meanwhile – the event is counted as lost.
//
// So a delivered event is always one that was recorded, never a mixture of two, also while writers
// run.

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/observe/observer.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold {

/// What became of the events recorded so far: every one is either delivered to the reader or lost.
struct ring_reading {
    std::uint64_t delivered{0};
    std::uint64_t lost{0};  ///< overwritten by younger ones, or their slot was being written
    friend constexpr bool operator==(ring_reading const&, ring_reading const&) = default;
};

/// Keeps the youngest `capacity` events.
template<Machine M = host_machine>
class ring_buffer {
public:
    static constexpr bool enabled = true;

    /// Room for `capacity` events, allocated now; record() never allocates.
    constexpr explicit ring_buffer(std::size_t capacity)
        : slots_{capacity == 0 ? nullptr : M::template create_array<slot>(capacity)},
          capacity_{slots_ == nullptr ? 0 : capacity} {}
    ring_buffer(ring_buffer const&) = delete;
    ring_buffer& operator=(ring_buffer const&) = delete;
    constexpr ~ring_buffer() {
        if (slots_ != nullptr) M::destroy_array(slots_, capacity_);
    }

    /// Is there any room? false if memory was exhausted (or capacity 0): events are then only
    /// counted, as lost.
    [[nodiscard]] constexpr bool valid() const noexcept { return capacity_ != 0; }

    /// Events that fit at once.
    [[nodiscard]] constexpr std::size_t capacity() const noexcept { return capacity_; }

    /// How many events were ever recorded, lost ones included.
    [[nodiscard]] constexpr std::uint64_t recorded() const noexcept {
        return tickets_.load(relaxed);
    }

    /// Keeps `what`, in place of the oldest event once the ring is full. Wait-free; from any CPU.
    constexpr void record(event const& what) noexcept {
        auto const ticket = tickets_.fetch_add(1, relaxed) + 1;
        if (capacity_ == 0) return;
        auto& place = slot_of(ticket);
        if (!place.claim(ticket)) return;
        place.write(what);
        place.publish(ticket);
    }

    /// Calls `take(event)` for every event still there, in the order of their tickets – for events
    /// of one actor the order in which it recorded them. While others record, events younger than
    /// the call may or may not be seen.
    template<std::invocable<event const&> F>
    constexpr ring_reading for_each(F take) const {
        auto const newest = tickets_.load(relaxed);
        auto const oldest = newest > capacity_ ? newest - capacity_ + 1 : 1;
        ring_reading seen{};
        for (auto ticket = oldest; capacity_ != 0 && ticket <= newest; ++ticket) {
            if (auto const what = slot_of(ticket).read(ticket)) {
                take(*what);
                ++seen.delivered;
            }
        }
        seen.lost = newest - seen.delivered;
        return seen;
    }

private:
    using word = typename M::template atomic<std::uint64_t>;

    class slot {
    public:
        constexpr bool claim(std::uint64_t ticket) noexcept {
            auto seen = stamp_.load(relaxed);
            auto const being_written = (seen & 1U) != 0;
            if (being_written || seen > done(ticket)) return false;
            // (ring.claim) acquire: the earlier writer's words come before ours; pairs with
            // (ring.publish).
            return stamp_.compare_exchange(seen, done(ticket) - 1, acquire("ring.claim"));
        }
        constexpr void write(event const& what) noexcept {
            auto const kind = static_cast<std::uint64_t>(what.kind);
            put(who_, (kind << actor_bits) | what.actor);
            put(time_, what.time_ns);
            put(subject_, what.subject);
            put(value_, what.value);
        }
        constexpr void publish(std::uint64_t ticket) noexcept {
            // (ring.publish) release: whoever sees the even stamp sees all four words; pairs with
            // (ring.look, ring.claim).
            stamp_.store(done(ticket), release("ring.publish"));
        }
        constexpr std::optional<event> read(std::uint64_t ticket) const noexcept {
            // (ring.look) acquire: the words are at least as new as the stamp; pairs with
            // (ring.publish).
            if (stamp_.load(acquire("ring.look")) != done(ticket)) return std::nullopt;
            auto const who = get(who_);
            event const what{static_cast<event_kind>(who >> actor_bits),
                             static_cast<std::uint32_t>(who), get(time_), get(subject_),
                             get(value_)};
            // Not before the words were read: (ring.read_word) keeps this look behind them.
            if (stamp_.load(relaxed) != done(ticket)) return std::nullopt;
            return what;
        }

    private:
        static constexpr unsigned actor_bits = 32;
        /// The even stamp of a slot that holds the event of `ticket`; one less while it is being
        /// written.
        static constexpr std::uint64_t done(std::uint64_t ticket) noexcept { return ticket * 2; }

        static constexpr void put(word& to, std::uint64_t value) noexcept {
            // (ring.word) release: whoever reads this word then sees our odd stamp, or a later one,
            // and discards it; pairs with (ring.read_word).
            to.store(value, release("ring.word"));
        }
        static constexpr std::uint64_t get(word const& from) noexcept {
            // (ring.read_word) acquire: the second look at the stamp is not older than this word;
            // pairs with (ring.word).
            return from.load(acquire("ring.read_word"));
        }

        word stamp_{0};
        word who_{0};
        word time_{0};
        word subject_{0};
        word value_{0};
    };

    constexpr slot& slot_of(std::uint64_t ticket) const noexcept {
        return slots_[ticket % capacity_];
    }

    word tickets_{0};
    slot* slots_;
    std::size_t capacity_;
};

static_assert(Observer<ring_buffer<constexpr_machine>>);

}  // namespace mmhold
