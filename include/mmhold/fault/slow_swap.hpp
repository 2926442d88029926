// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/page_reads.hpp>
#include <mmhold/fault/page_request.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/swap_store.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mmhold {

/// Swap space on a device that takes its time to read. Name it as `swap` of a configuration.
///
/// The contents are kept here; what takes time is up to whoever serves the reads: next_read(), then
/// complete() or fail(), as for a file_object. A slot that has arrived stays so until it is freed
/// or written (the swap cache, as far as it can be seen). Writing takes no time: who swaps out
/// waits for nothing in Linux either. Outlives the spaces that use it and all tickets.
template<Machine M>
class slow_swap : public memory_swap<M> {
    using base = memory_swap<M>;

public:
    using machine = M;
    using place = typename page_reads<M>::place;

    /// As memory_swap.
    constexpr explicit slow_swap(page_count slots, frame_bytes bytes = frame_bytes::none)
        : base{slots, bytes},
          count_{base::valid() ? static_cast<std::size_t>(slots.value) : 0},
          arrived_{M::template create_array<flag>(count_)} {}
    constexpr ~slow_swap() {
        if (arrived_ != nullptr) M::destroy_array(arrived_, count_);
    }
    [[nodiscard]] constexpr bool valid() const noexcept {
        return base::valid() && arrived_ != nullptr;
    }

    // ---- the store ------------------------------------------------------------------------------

    /// The operations of a SlowSwapStore that are not memory_swap's; see there.
    [[nodiscard]] constexpr result<std::uint64_t> allocate() noexcept {
        auto const slot = valid() ? base::allocate() : result<std::uint64_t>{errc::no_memory};
        if (slot) flag_of(*slot).store(0, relaxed);
        return slot;
    }
    constexpr void write(std::uint64_t slot, std::span<std::byte const> contents) noexcept {
        base::write(slot, contents);
        flag_of(slot).store(0, relaxed);
    }
    constexpr void read(std::uint64_t slot, std::span<std::byte> page) const noexcept {
        M::expect(arrived(slot), "slow_swap::read: the contents have not arrived");
        base::read(slot, page);
    }
    /// Relaxed: the contents were visible before the marker that names the slot.
    [[nodiscard]] constexpr bool arrived(std::uint64_t slot) const noexcept {
        return flag_of(slot).load(relaxed) != 0;
    }
    [[nodiscard]] constexpr result<place> ask(task<M>& sleeper, std::uint64_t slot) {
        return reads_.ask(sleeper, 0, slot, [&] { return arrived(slot); });
    }

    // ---- the device -----------------------------------------------------------------------------

    /// The oldest read that nobody has taken yet, if there is one; its `page` is the slot.
    [[nodiscard]] constexpr std::optional<page_request> try_next_read() noexcept {
        return reads_.try_next();
    }
    /// Waits for a read. Errors: interrupted; invalid_argument once closed.
    [[nodiscard]] constexpr result<page_request> next_read(task<M>& server,
                                                           wait_mode mode) noexcept {
        return reads_.next(server, mode);
    }
    /// The slot has arrived; all who wait for it are woken. Error: invalid_argument – no such read.
    constexpr result<void> complete(page_request const& read) noexcept {
        flag_of(read.page).store(1, relaxed);
        return reads_.finish(read, errc::ok) ? errc::ok : errc::invalid_argument;
    }
    /// The device could not read it: who waits fails with `why`. Error: as above.
    constexpr result<void> fail(page_request const& read, errc why) noexcept {
        return reads_.finish(read, why) ? errc::ok : errc::invalid_argument;
    }
    /// The device is gone: what has not arrived is bad_address.
    constexpr void close() noexcept { reads_.close(); }
    /// How many slots were ever asked for.
    [[nodiscard]] constexpr std::uint64_t reads_started() noexcept { return reads_.started(); }

private:
    using flag = typename M::template atomic<std::uint32_t>;

    [[nodiscard]] constexpr flag& flag_of(std::uint64_t slot) const noexcept {
        M::expect(slot < count_, "slow_swap: no such slot");
        return arrived_[static_cast<std::size_t>(slot)];
    }

    std::size_t count_;
    flag* arrived_;
    page_reads<M> reads_{};
};

static_assert(SlowSwapStore<slow_swap<constexpr_machine>>);

}  // namespace mmhold
