// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/machine.hpp>
#include <mmhold/reclaim/retired_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace mmhold {

template<Machine M, std::size_t Batch>
class hazard_domain;

/// One cpu's place in a hazard_domain: the reader's half of the protocol told in hazard_domain.hpp.
///
/// What the owner writes in a section and scanners read lies in one cache line of its own. Records
/// stay in the domain when their cpu leaves and are given to the next that joins.
template<Machine M>
class alignas(64) hazard_record {
public:
    /// Slots: one per level of the deepest page table.
    static constexpr unsigned levels = 5;

    /// A place that is taken, numbered `id`; made by hazard_domain.
    constexpr explicit hazard_record(std::uint32_t id) noexcept : id_{id} {}
    hazard_record(hazard_record const&) = delete;
    hazard_record& operator=(hazard_record const&) = delete;
    constexpr ~hazard_record() = default;

    /// The number of the place: dense from 0, unique among the cpus that are joined now.
    [[nodiscard]] constexpr std::uint32_t id() const noexcept { return id_; }

    /// Is the owner inside its section? Only the owner may ask.
    [[nodiscard]] constexpr bool in_section() const noexcept { return open(own_number_.get()); }

    /// Opens the section. Precondition: not inside one.
    constexpr void enter_section() noexcept {
        M::expect(!in_section(), "a section is entered twice without being left");
        own_number_.set(own_number_.get() + 1);
        // (hazard.enter) release: a scanner that reads this number knows that the section before it
        // is over; a plain store would not carry that on ([intro.races], release sequences).
        // Pairs with (hazard.scan_section, hazard.observe, hazard.section_over,
        // hazard.glance).
        section_.store(own_number_.get(), release("hazard.enter"));
        // (hazard.enter_fence) light: the section is visible before anything is read inside it;
        // pairs with (hazard.synchronize_fence, hazard.try_synchronize_fence), the heavy ones.
        M::light_fence(at("hazard.enter_fence"));
    }

    /// Closes the section; all its protections end, whatever the slots still say. Precondition:
    /// inside one.
    constexpr void leave_section() noexcept {
        M::expect(in_section(), "a section is left without being entered");
        own_number_.set(own_number_.get() + 1);
        // (hazard.leave) release: all reads of the section are over before anybody sees it closed
        // and frees what they read. Pairs with (hazard.scan_section, hazard.observe,
        // hazard.section_over, hazard.glance).
        section_.store(own_number_.get(), release("hazard.leave"));
    }

    /// Names `key` (not 0) at `level`, inside a section. The caller must then look again at the
    /// entry that led to the object.
    constexpr void protect(unsigned level, std::uint64_t key) noexcept {
        M::expect(in_section(), "protect outside a section");
        M::expect(key != 0, "protect: 0 names nothing");
        // (hazard.publish) release: it also ends what the level named before, so the reads of that
        // object must be over for a scanner that sees the new name. Pairs with (hazard.scan).
        slots_[level].store(key, release("hazard.publish"));
        // (hazard.publish_fence) light: the name is visible before the caller looks again;
        // pairs with (hazard.scan_fence), the heavy one.
        M::light_fence(at("hazard.publish_fence"));
    }

    /// Ends the protection at `level`.
    constexpr void clear(unsigned level) noexcept {
        // (hazard.clear) release: the reads of the object are over before a scanner sees that
        // nobody names it. Pairs with (hazard.scan).
        slots_[level].store(0, release("hazard.clear"));
    }

private:
    template<Machine, std::size_t>
    friend class hazard_domain;

    /// Odd numbers are open sections. 64 bits do not come round again.
    [[nodiscard]] static constexpr bool open(std::uint64_t section) noexcept {
        return section % 2 != 0;
    }

    using word = typename M::template atomic<std::uint64_t>;
    enum class place : std::uint32_t { vacant, taken };

    word section_{0};
    std::array<word, levels> slots_{};
    // What the owner last stored in section_, so that it need not read a shared word.
    typename M::template plain<std::uint64_t> own_number_{0};

    alignas(64) std::uint32_t const id_;
    typename M::template atomic<std::uint32_t> place_{static_cast<std::uint32_t>(place::taken)};
    // Constant once (hazard.add_place) has put the record into the domain's list.
    typename M::template plain<hazard_record*> next_{nullptr};
    word retired_count_{0};         // written by the owner alone, read by statistics()
    word freed_count_{0};
    // Owned by whoever has taken the place; handed on by (hazard.vacate).
    typename M::template plain<detail::retired_list<M>> retired_{};
    typename M::template plain<bool> reclaiming_{false};
};

}  // namespace mmhold
