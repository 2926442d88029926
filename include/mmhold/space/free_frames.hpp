// SPDX-License-Identifier: BSL-1.0
#pragma once

// free_frames – which frames are free, and how large pieces of them stay together.
//
// Free memory is a set of blocks of 2^order frames, aligned to their size (by frame number, so that
// a block can carry a leaf of that size); per order a doubly linked list through the frames
// themselves. Taking splits a larger block as far as needed; giving back joins a block with its
// buddy – the other half of the next larger block – as long as that is free and whole. A few single
// frames are kept apart, last in first out, so that a fault and an unmap do not split and join all
// the way each time; they are joined again when a larger block cannot be had otherwise.

#include <mmhold/space/frame.hpp>

#include <array>
#include <bit>
#include <cstdint>

namespace mmhold::detail {

/// The free frames of a pool. Not synchronised: the caller holds the pool's lock, except around the
/// constructor.
template<Machine M>
class free_frames {
public:
    /// All of `count` frames are free; frame i has the frame number first + i.
    constexpr free_frames(frame<M>* frames, std::uint64_t first, std::uint32_t count) noexcept
        : frames_{frames}, first_{first}, count_{count} {
        for (auto& list : lists_) list.set(no_frame);
        singles_.set(no_frame);
        if (frames_ == nullptr) return;
        for (std::uint32_t at = 0; at < count_;) {
            auto const order = largest_order_at(at);
            add(at, order);
            at += size(order);
        }
    }

    /// Takes 2^order consecutive frames, aligned. Answers the index of the first, or no_frame.
    [[nodiscard]] constexpr std::uint32_t take(unsigned order) noexcept {
        if (order == 0 && singles_.get() != no_frame) return take_single();
        auto found = take_block(order);
        if (found == no_frame && singles_.get() != no_frame) {
            while (singles_.get() != no_frame) join(take_single(), 0);
            found = take_block(order);
        }
        return found;
    }

    /// Gives back what take(order) answered.
    constexpr void give(std::uint32_t at, unsigned order) noexcept {
        if (order != 0 || single_count_.get() >= max_singles) return join(at, order);
        frames_[at].next.set(singles_.get());
        singles_.set(at);
        single_count_.set(single_count_.get() + 1);
    }

private:
    static constexpr std::uint32_t max_singles = 64;

    [[nodiscard]] static constexpr std::uint32_t size(unsigned order) noexcept {
        return std::uint32_t{1} << order;
    }
    /// The largest block that may start here: aligned, and not beyond the end.
    [[nodiscard]] constexpr unsigned largest_order_at(std::uint32_t at) const noexcept {
        auto const alignment = static_cast<unsigned>(std::countr_zero(first_ + at));
        auto const room = static_cast<unsigned>(std::bit_width(count_ - at)) - 1;
        auto const order = alignment < room ? alignment : room;
        return order < max_frame_order ? order : max_frame_order;
    }

    constexpr std::uint32_t take_single() noexcept {
        auto const at = singles_.get();
        singles_.set(frames_[at].next.get());
        single_count_.set(single_count_.get() - 1);
        return at;
    }

    constexpr std::uint32_t take_block(unsigned order) noexcept {
        auto const large_enough = nonempty_.get() & ~(size(order) - 1);
        if (large_enough == 0) return no_frame;
        auto have = static_cast<unsigned>(std::countr_zero(large_enough));
        auto const at = lists_[have].get();
        remove(at, have);
        while (have > order) {
            --have;
            add(at + size(have), have);
        }
        return at;
    }

    constexpr void join(std::uint32_t at, unsigned order) noexcept {
        for (; order < max_frame_order; ++order) {
            auto const buddy = ((first_ + at) ^ size(order)) -
                               first_;  // wraps, hence too large, if below the first
            if (buddy >= count_ || !is_free_block(static_cast<std::uint32_t>(buddy), order)) break;
            remove(static_cast<std::uint32_t>(buddy), order);
            if (buddy < at) at = static_cast<std::uint32_t>(buddy);
        }
        add(at, order);
    }

    [[nodiscard]] constexpr bool is_free_block(std::uint32_t at, unsigned order) const noexcept {
        return frames_[at].state.load(relaxed) == listed(order);
    }
    [[nodiscard]] static constexpr std::uint32_t listed(unsigned order) noexcept {
        return frame_state::make(frame_kind::free, order) | frame_state::in_free_list;
    }

    constexpr void add(std::uint32_t at, unsigned order) noexcept {
        auto& list = lists_[order];
        frames_[at].state.store(listed(order), relaxed);
        frames_[at].next.set(list.get());
        frames_[at].previous.set(no_frame);
        if (list.get() != no_frame) frames_[list.get()].previous.set(at);
        list.set(at);
        nonempty_.set(nonempty_.get() | size(order));
    }

    constexpr void remove(std::uint32_t at, unsigned order) noexcept {
        auto const next = frames_[at].next.get();
        auto const previous = frames_[at].previous.get();
        frames_[at].state.store(0, relaxed);
        if (next != no_frame) frames_[next].previous.set(previous);
        if (previous != no_frame) {
            frames_[previous].next.set(next);
            return;
        }
        lists_[order].set(next);
        if (next == no_frame) nonempty_.set(nonempty_.get() & ~size(order));
    }

    using link = typename M::template plain<std::uint32_t>;

    frame<M>* frames_;
    std::uint64_t first_;
    std::uint32_t count_;
    std::array<link, max_frame_order + 1> lists_{};  // by order: the first free block
    link nonempty_{};                                // bit k: lists_[k] is not empty
    link singles_{};                                 // single frames kept apart
    link single_count_{};
};

}  // namespace mmhold::detail
