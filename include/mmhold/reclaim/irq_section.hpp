// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/reclaim/cpu.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// "Interrupts are off on this cpu": enters on construction, leaves on destruction, pinned in
/// place.
///
/// The witness that the lockless walker asks for. Inside, page tables named by protect() are not
/// freed, and synchronize() of any other cpu waits (gup-semantics §5.5). Keep it short: it must not
/// wait for anything.
///
/// Sections nest; the outermost one counts. A nested section has the same slots as the section
/// around it, so it must not protect at a level that an outer one is using (checked by expect):
/// what the outer one relied on would be free to go.
template<Reclaimer R>
class [[nodiscard]] irq_section {
public:
    using machine = typename R::machine;

    /// Precondition: on.valid().
    [[nodiscard]] constexpr explicit irq_section(cpu<R>& on) noexcept
        : on_{on},
          mine_{on.record()},
          depth_{++on.irq_depth_},
          outer_levels_{on.levels_in_use_} {
        if (depth_ == 1) mine_.enter_section();
        machine::note(claim::interrupts_off, &on_);
    }
    irq_section(irq_section const&) = delete;
    irq_section& operator=(irq_section const&) = delete;
    /// Ends what it protected, and the section if it is the outermost.
    constexpr ~irq_section() {
        machine::expect(on_.irq_depth_ == depth_, "irq_sections must end innermost first");
        machine::note(claim::interrupts_on, &on_);
        if (depth_ == 1) {
            mine_.leave_section();
        } else {
            clear_own_levels();
        }
        if constexpr (detail::keeps_books<machine>) on_.levels_in_use_ = outer_levels_;
        on_.irq_depth_ = depth_ - 1;
    }

    /// Announces that the object called `key` (not 0) is about to be used, at `level` (below
    /// R::levels).
    ///
    /// Replaces what the level named before. The caller must now look again at the entry that led
    /// to the object, and may touch it only if that entry is unchanged: an object retired before
    /// the announcement may be gone.
    constexpr void protect(unsigned level, std::uint64_t key) noexcept {
        machine::expect(level < R::levels, "irq_section::protect: no such level");
        machine::expect((outer_levels_ & bit(level)) == 0,
                        "irq_section::protect: an outer section is using this level");
        own_levels_ |= bit(level);
        if constexpr (detail::keeps_books<machine>) on_.levels_in_use_ |= bit(level);
        mine_.protect(level, key);
    }

    /// Ends the protection at `level` early. A level that this section has not protected stays as
    /// it is.
    constexpr void clear(unsigned level) noexcept {
        machine::expect(level < R::levels, "irq_section::clear: no such level");
        if ((own_levels_ & bit(level)) == 0) return;
        own_levels_ &= ~bit(level);
        if constexpr (detail::keeps_books<machine>) on_.levels_in_use_ &= ~bit(level);
        mine_.clear(level);
    }

    /// The cpu whose interrupts are off.
    [[nodiscard]] constexpr cpu<R>& on() const noexcept { return on_; }

private:
    static_assert(R::levels <= 32, "mmhold: a Reclaimer has at most 32 levels");
    [[nodiscard]] static constexpr std::uint32_t bit(unsigned level) noexcept {
        return std::uint32_t{1} << level;
    }
    constexpr void clear_own_levels() noexcept {
        for (unsigned level = 0; level < R::levels; ++level) {
            if ((own_levels_ & bit(level)) != 0) mine_.clear(level);
        }
    }

    cpu<R>& on_;
    typename R::record& mine_;
    unsigned depth_;
    std::uint32_t outer_levels_;
    std::uint32_t own_levels_{0};
};

}  // namespace mmhold
