// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/config.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// Where the contents of pages are kept that are not in memory: numbered slots of one page, each
/// with a count of the page table entries that name it.
///
/// Any cpu, any time, page table locks held or not; none of them waits for a device. Laws
/// (laws/swap_store.hpp):
///   slots       each is handed out to one at a time, and again only after its last reference went;
///   contents    read() answers what write() was given last;
///   numbers     fit into a marker (at most 2^50 - 2).
template<class S>
concept SwapStore = requires(S& store, std::uint64_t slot, std::span<std::byte> page,
                             std::span<std::byte const> contents) {
    // a free slot with one reference; no_memory if all are taken
    { store.allocate() } -> std::same_as<result<std::uint64_t>>;
    // one more reference, for who holds one; false: there would be too many
    { store.duplicate(slot) } -> std::same_as<bool>;
    // gives one reference back; the last frees the slot
    {store.release(slot)};
    // keeps a page's bytes (none, if frames have none); for the only holder
    {store.write(slot, contents)};
    // gives them back; for a holder
    {store.read(slot, page)};
};

/// A store on a device that takes its time: what is in a slot can be read once it has arrived in
/// memory. Model: slow_swap.
///
/// Law (laws/swap_store.hpp): what has arrived can be read until the slot is written again or its
/// last reference goes.
template<class S>
concept SlowSwapStore = SwapStore<S> &&
    requires(S& store, task<typename S::machine>& sleeper, std::uint64_t slot) {
    // may the slot be read now? for a holder
    { store.arrived(slot) } -> std::same_as<bool>;
    // gets it going, for a holder; what to wait for: a place with ticket() and error(), as that of
    // page_reads. Errors: no_memory; bad_address – the device is gone
    { store.ask(sleeper, slot) } -> std::same_as<result<typename S::place>>;
};

/// Swap space in memory, of a fixed number of slots (a zram disk). Its contents take memory only if
/// asked for: pools without bytes need none. Outlives the address spaces that use it.
template<Machine M>
class memory_swap {
public:
    using machine = M;

    /// `slots` free slots. If memory is exhausted, or no marker can name so many, the store is not
    /// valid(), and is always full.
    constexpr explicit memory_swap(page_count slots, frame_bytes bytes = frame_bytes::none)
        : capacity_{slots.value <= most_slots ? static_cast<std::size_t>(slots.value) : 0},
          counts_{M::template create_array<counter>(capacity_)},
          free_{M::template create_array<link>(capacity_)} {
        M::name(&lock_, "swap lock");
        if (counts_ == nullptr || free_ == nullptr) return;
        if (bytes == frame_bytes::owned) {
            bytes_ = M::template create_array<std::byte>(capacity_ * page_size);
            if (bytes_ == nullptr) return;
        }
        for (auto slot = capacity_; slot > 0; --slot) push(slot - 1);
        usable_ = capacity_ != 0;
    }
    memory_swap(memory_swap const&) = delete;
    memory_swap& operator=(memory_swap const&) = delete;
    /// Precondition: no entry names a slot any more.
    constexpr ~memory_swap() {
        M::expect(in_use() == 0, "a swap store ends while entries name its slots");
        if (bytes_ != nullptr) M::destroy_array(bytes_, capacity_ * page_size);
        if (counts_ != nullptr) M::destroy_array(counts_, capacity_);
        if (free_ != nullptr) M::destroy_array(free_, capacity_);
    }

    /// Was there memory for it?
    [[nodiscard]] constexpr bool valid() const noexcept { return usable_; }
    /// How many slots are taken.
    [[nodiscard]] constexpr std::uint64_t in_use() const noexcept { return used_.load(relaxed); }
    /// How many references a slot has; stale at once.
    [[nodiscard]] constexpr std::uint32_t ref_count(std::uint64_t slot) const noexcept {
        return counts_[known(slot)].load(relaxed);
    }

    /// The operations of a SwapStore; see there.
    [[nodiscard]] constexpr result<std::uint64_t> allocate() noexcept {
        auto const slot = pop();
        if (slot == no_slot) return errc::no_memory;
        counts_[slot].store(1, relaxed);
        (void)used_.fetch_add(1, relaxed);
        return std::uint64_t{slot};
    }
    [[nodiscard]] constexpr bool duplicate(std::uint64_t slot) noexcept {
        auto& references = counts_[known(slot)];
        auto seen = references.load(relaxed);
        M::expect(seen != 0, "memory_swap::duplicate: nobody holds the slot");
        while (seen != max_references) {
            if (references.compare_exchange(seen, seen + 1, relaxed)) return true;
        }
        return false;
    }
    constexpr void release(std::uint64_t slot) noexcept {
        // (swap.put) acq_rel: who read the slot is done before it is written anew; pairs with
        // (swap.put).
        auto const before = counts_[known(slot)].fetch_sub(1, acq_rel("swap.put"));
        M::expect(before != 0, "memory_swap::release: more references than there were");
        if (before != 1) return;
        (void)used_.fetch_sub(1, relaxed);
        spin_guard const guard{lock_};
        push(known(slot));
    }
    constexpr void write(std::uint64_t slot, std::span<std::byte const> contents) noexcept {
        std::ranges::copy(contents.first(std::min(contents.size(), bytes_of(slot).size())),
                          bytes_of(slot).begin());
    }
    constexpr void read(std::uint64_t slot, std::span<std::byte> page) const noexcept {
        std::ranges::copy(bytes_of(slot).first(std::min(page.size(), bytes_of(slot).size())),
                          page.begin());
    }

    /// The most references a slot can have.
    static constexpr std::uint32_t max_references = ~std::uint32_t{0};

private:
    using counter = typename M::template atomic<std::uint32_t>;
    using link = typename M::template plain<std::uint32_t>;

    static constexpr std::uint32_t no_slot = ~std::uint32_t{0};
    static constexpr std::uint64_t most_slots = no_slot;

    [[nodiscard]] constexpr std::size_t known(std::uint64_t slot) const noexcept {
        M::expect(slot < capacity_, "memory_swap: no such slot");
        return static_cast<std::size_t>(slot);
    }
    [[nodiscard]] constexpr std::span<std::byte> bytes_of(std::uint64_t slot) const noexcept {
        if (bytes_ == nullptr) return {};
        return {bytes_ + known(slot) * page_size, page_size};
    }
    // A stack of free slots: free_[slot] is the one below. Guarded by lock_, as top_ is.
    constexpr void push(std::size_t slot) noexcept {
        free_[slot].set(top_.get());
        top_.set(static_cast<std::uint32_t>(slot));
    }
    [[nodiscard]] constexpr std::uint32_t pop() noexcept {
        if (!usable_) return no_slot;
        spin_guard const guard{lock_};
        auto const slot = top_.get();
        if (slot != no_slot) top_.set(free_[slot].get());
        return slot;
    }

    std::size_t capacity_;
    bool usable_{false};
    std::byte* bytes_{nullptr};
    counter* counts_;  // by slot
    spin_lock<M> lock_{};
    link* free_;
    link top_{no_slot};
    typename M::template atomic<std::uint64_t> used_{0};
};

static_assert(SwapStore<memory_swap<constexpr_machine>>);

}  // namespace mmhold
