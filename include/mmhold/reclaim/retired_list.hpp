// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/machine.hpp>
#include <mmhold/reclaim/retired.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

namespace detail {

/// A singly linked list of retired objects, used like a value: copied out, changed, put back. The
/// objects know no machine, so each use of a link is noted: who takes a list over from another cpu
/// is judged by that.
template<Machine M>
struct retired_list {
    retired_object* first{nullptr};
    std::size_t count{0};

    [[nodiscard]] constexpr bool empty() const noexcept { return first == nullptr; }
    constexpr void push(retired_object* object) noexcept {
        link(object, first);
        first = object;
        ++count;
    }
    /// Precondition: not empty().
    constexpr retired_object* pop() noexcept {
        auto* const object = first;
        first = next_of(object);
        link(object, nullptr);
        --count;
        return object;
    }
    /// Moves everything from `other` to the front of this list.
    constexpr void take(retired_list& other) noexcept {
        while (!other.empty()) push(other.pop());
    }
    /// Moves the objects called `key` to `named`.
    constexpr void move(std::uint64_t key, retired_list& named) noexcept {
        retired_object* before = nullptr;
        for (auto* object = first; object != nullptr;) {
            auto* const after = next_of(object);
            if (object->key == key) {
                before == nullptr ? void(first = after) : link(before, after);
                --count;
                named.push(object);
            } else {
                before = object;
            }
            object = after;
        }
    }

    [[nodiscard]] static constexpr retired_object* next_of(retired_object const* object) noexcept {
        M::note(claim::plain_read, &object->next);
        return object->next;
    }
    static constexpr void link(retired_object* object, retired_object* next) noexcept {
        M::note(claim::plain_written, &object->next);
        object->next = next;
    }
};

}  // namespace detail

}  // namespace mmhold
