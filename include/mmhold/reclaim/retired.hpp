// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mmhold {

/// Base of everything whose memory lockless readers may still be looking at: page tables above all.
///
/// The life of one: reachable → unlinked (nobody can find it any more) → retired (`R::retire`) →
/// freed, by a call of `free`, once no reader can be using it. From retire() on the object belongs
/// to the reclaimer; until `free` is called its contents must stay readable.
struct retired_object {
    /// What hazards name it by: a page frame number or an address – unique among the live objects
    /// of one domain, never 0 (0 means "no hazard"). Two objects with one key only hold each other
    /// back.
    std::uint64_t key{0};
    /// The reclaimer's list link; nobody else touches it between retire() and free().
    retired_object* next{nullptr};
    /// Ends the object's life. Called once, by whichever cpu reclaims, possibly long after
    /// retire(). It may retire further objects; it must not enter a section, synchronize or leave
    /// the domain.
    void (*free)(retired_object&) noexcept {nullptr};
};

namespace detail {

/// The retired_object in a derived object. GCC 12 forgets in constant evaluation that the two are
/// one object unless the pointer, not the reference, is converted; a free function could then not
/// give the memory back.
template<std::derived_from<retired_object> T>
[[nodiscard]] constexpr retired_object* retired_part(T& object) noexcept {
    T* const whole = &object;
    return whole;
}

}  // namespace detail

}  // namespace mmhold
