// SPDX-License-Identifier: BSL-1.0
#pragma once

// What an actor is about to do, what an executed step touched, and when two of them may not be
// swapped.
//
// One function – conflict() – answers the last question both for the sleep sets (may a sleeping
// process stay asleep?) and for the order of events (is this a race to reverse?). If the two ever
// disagreed, executions would be lost.

#include <mmhold/explore/clock.hpp>
#include <mmhold/machine/order.hpp>

#include <cstdint>
#include <source_location>

namespace mmhold {

namespace detail {

/// What every word and field of the model carries in the object itself. The rest is kept by the
/// exploration, in a table: the object may die and its memory be reused at any time.
struct cell {
    static constexpr std::uint32_t unregistered = 0x6d6d'0001U;  // not used by any actor yet
    static constexpr std::uint32_t dead = 0x6d6d'0002U;

    std::uint64_t initial{0};
    std::uint32_t id{unregistered};
    std::uint32_t born{0};  // 0: during set-up; else epoch of the creating actor
};

/// Reads a mark that may lie in memory which is no object any more. AddressSanitizer is not asked.
[[nodiscard, gnu::no_sanitize_address]] inline std::uint32_t mark_in(
    std::uint32_t const& mark) noexcept {
    return *static_cast<std::uint32_t const volatile*>(&mark);
}

/// A moment of one actor, in one word: actor + 1 above, its tick below.
[[nodiscard]] constexpr std::uint32_t epoch(process actor, std::int16_t tick) noexcept {
    return ((actor + 1U) << 16U) | static_cast<std::uint32_t>(tick);
}
[[nodiscard]] constexpr process epoch_actor(std::uint32_t e) noexcept {
    return static_cast<process>((e >> 16U) - 1U);
}
[[nodiscard]] constexpr std::int16_t epoch_tick(std::uint32_t e) noexcept {
    return static_cast<std::int16_t>(e & 0xffffU);
}

enum class op_kind : std::uint8_t {
    load,
    store,
    exchange,
    add,
    subtract,
    bit_or,
    bit_and,
    compare_exchange,
    await,
    fence,
    heavy_fence,
    drain,
    heap,  // create or destroy, where blocks are reused
};

[[nodiscard]] constexpr bool is_update(op_kind kind) noexcept {
    return kind >= op_kind::exchange && kind <= op_kind::compare_exchange;
}

/// What an update leaves in the word.
[[nodiscard]] constexpr std::uint64_t updated(op_kind kind, std::uint64_t old,
                                              std::uint64_t operand) noexcept {
    switch (kind) {
        case op_kind::add: return old + operand;
        case op_kind::subtract: return old - operand;
        case op_kind::bit_or: return old | operand;
        case op_kind::bit_and: return old & operand;
        default: return operand;
    }
}

/// A predicate without its type.
struct predicate {
    bool (*holds)(void const* context, std::uint64_t value){nullptr};
    void const* context{nullptr};
};

/// The order of an access after weakening, its site, and where in the source it stands.
struct request {
    memory_order order{memory_order::relaxed};
    char const* site{""};
    std::source_location where{};
};

/// The pseudo-word that stands for the order of create and destroy.
inline constexpr std::uint32_t heap_location = 1;
/// The pseudo-word that stands for the order of calls and answers of recorded operations.
inline constexpr std::uint32_t calls_location = 2;

/// What an actor will do next.
struct operation {
    op_kind kind{op_kind::load};
    memory_order order{memory_order::relaxed};
    bool locked{false};  // waits for the own store buffer to be empty (tso)
    bool parks{false};   // await that may sleep, as against poll
    std::uint32_t location{0};
    std::uint64_t operand{0};
    std::uint64_t mask{~std::uint64_t{0}};
    std::uint64_t expected{0};  // compare_exchange
    predicate done{};           // await
};

/// What a step touches, as far as anybody else can notice. One register wide: it is computed for
/// every step.
struct footprint {
    enum mark : std::uint8_t {
        reads = 1,  // from memory; a load served by the own store buffer reads nothing
        writes = 2,
        buffers = 4,     // puts a store into a buffer (noticed by heavy fences)
        drains_all = 8,  // tso: heavy fence
        global = 16,     // stale: heavy fence, meets everybody
        ordered = 32,    // stale: seq_cst, one total order
    };
    std::uint32_t location{0};  // 0: no memory
    process owner{0};
    std::uint8_t marks{0};

    [[nodiscard]] constexpr bool has(mark m) const noexcept { return (marks & m) != 0; }
};

/// May the two not be swapped? Symmetric. Steps of one actor and of its own buffer never conflict:
/// where their order matters it is part of the program order.
[[nodiscard]] constexpr bool conflict(footprint a, footprint b) noexcept {
    if (a.owner == b.owner) return false;
    auto const either = static_cast<unsigned>(a.marks | b.marks);
    if (a.location == b.location && a.location != 0 && (either & footprint::writes) != 0)
        return true;
    auto const both = static_cast<unsigned>(a.marks & b.marks);
    if (((both & footprint::ordered) | (either & footprint::global)) != 0) return true;
    return (either & footprint::drains_all) != 0 && (either & footprint::buffers) != 0 &&
           (both & (footprint::drains_all | footprint::buffers)) == 0;
}

[[nodiscard]] constexpr bool acquires(memory_order order) noexcept {
    return order == memory_order::acquire || order == memory_order::acq_rel ||
           order == memory_order::seq_cst;
}
[[nodiscard]] constexpr bool releases(memory_order order) noexcept {
    return order == memory_order::release || order == memory_order::acq_rel ||
           order == memory_order::seq_cst;
}

}  // namespace detail

}  // namespace mmhold
