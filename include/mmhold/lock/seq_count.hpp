// SPDX-License-Identifier: BSL-1.0
#pragma once

// seq_count – lets a reader without a lock notice that a writer was at work (write_protect_seq).
//
// Writer    begin_write(): odd → change things → end_write(): even again. One at a time: the caller
//           holds whatever keeps other writers out (for write_protect_seq the mm lock, exclusive).
// Reader    read_begin(): odd? Do not even start. → read, pin → read_retry(start): undo and start
//           over or fall back if it says so.
//
// Two promises, for two kinds of use:
//   reading    A reader that is not told to retry read nothing that the writer wrote in between.
//              What both touch are atomics, since they may touch it at the same time.
//   marking    A reader leaves a mark before read_retry() (gup_fast pins a page), a writer looks
//              for marks after begin_write() (fork asks whether the page may be pinned). At least
//              one of them notices the other: gup-semantics §6.2 #7. That order (own store, then
//              another's load) costs a fence; it is asymmetric, so that the reader hardly pays.

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>

#include <cstdint>

namespace mmhold {

/// A sequence counter; odd while a writer is at work. Readers never wait and never write.
template<Machine M = host_machine>
class seq_count {
public:
    using machine = M;

    /// What read_begin() saw.
    class sequence {
    public:
        /// Was a writer at work then? What is read from here on would have to be thrown away.
        [[nodiscard]] constexpr bool writing() const noexcept { return value_ % 2 != 0; }

    private:
        friend seq_count;
        constexpr explicit sequence(std::uint32_t value) noexcept : value_{value} {}
        std::uint32_t value_;
    };

    constexpr seq_count() noexcept = default;
    seq_count(seq_count const&) = delete;
    seq_count& operator=(seq_count const&) = delete;
    constexpr ~seq_count() = default;

    /// From here on readers are turned away. The caller keeps other writers out.
    ///
    /// What the caller reads after it shows every mark of a reader that will not be told to retry.
    constexpr void begin_write() noexcept {
        auto const even = word_.load(relaxed);
        M::expect(even % 2 == 0, "seq_count: begin_write inside another writer's section");
        word_.store(even + 1, relaxed);
        // (seq_count.odd) release: whoever sees what we write from here on sees the odd number;
        // pairs with (seq_count.recheck).
        M::fence(release("seq_count.odd"));
        // (seq_count.look) heavy, because writers are rare: our odd number before our look at
        // marks; pairs with (seq_count.mark).
        M::heavy_fence(at("seq_count.look"));
    }

    /// Readers that begin after it are welcome.
    constexpr void end_write() noexcept {
        auto const odd = word_.load(relaxed);
        M::expect(odd % 2 != 0, "seq_count: end_write without begin_write");
        // (seq_count.even) release: a reader that begins now sees all we wrote; pairs with
        // (seq_count.begin).
        word_.store(odd + 1, release("seq_count.even"));
    }

    /// Begins a read. Never waits: the caller asks the answer whether a writer is at work.
    [[nodiscard]] constexpr sequence read_begin() const noexcept {
        // (seq_count.begin) acquire: sees what the last writer wrote; pairs with (seq_count.even).
        return sequence{word_.load(acquire("seq_count.begin"))};
    }

    /// Must what was read since `start` be thrown away, and every mark be taken back?
    [[nodiscard]] constexpr bool read_retry(sequence start) const noexcept {
        // (seq_count.mark) light: our marks before our look at the number; pairs with
        // (seq_count.look).
        M::light_fence(at("seq_count.mark"));
        // (seq_count.recheck) acquire: had we read something of a writer, we would see its odd
        // number now; pairs with (seq_count.odd).
        M::fence(acquire("seq_count.recheck"));
        return start.writing() || word_.load(relaxed) != start.value_;
    }

private:
    typename M::template atomic<std::uint32_t> word_{0};
};

static_assert(sizeof(seq_count<constexpr_machine>) == sizeof(std::uint32_t));

}  // namespace mmhold
