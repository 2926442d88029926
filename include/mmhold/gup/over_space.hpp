// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/compose.hpp>
#include <mmhold/gup/profile.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/walk/locked_walker.hpp>
#include <mmhold/walk/lockless_walker.hpp>

namespace mmhold {

/// The parts gup works with when it is called with an address_space: its own lock and observer, the
/// fault handler of each vma (dispatch), the locked and the lockless x86 walker.
template<class Config, GupProfile Profile>
struct gup_parts<address_space<Config>, Profile> {
    using space_type = address_space<Config>;
    using cpu_type = typename space_type::cpu_type;

    /// Cheap: views of `space`.
    constexpr gup_parts(space_type& space, cpu_type& me) noexcept
        : handler_{space},
          walker_{space, me},
          fast_walker_{space},
          composed_{compose(space.lock(), handler_, walker_, fast_walker_)
                        .observed_by(space.observer())} {}
    gup_parts(gup_parts const&) = delete;
    gup_parts& operator=(gup_parts const&) = delete;
    constexpr ~gup_parts() = default;

    /// The composition; it refers to this object.
    [[nodiscard]] constexpr auto const& composed() const noexcept { return composed_; }

private:
    using lock_type = typename space_type::lock_type;
    using handler = dispatch<space_type>;
    using walker = locked_walker<space_type>;
    static constexpr auto recheck =
        Profile::fast_recheck_table ? table_recheck::yes : table_recheck::no;
    using fast_walker = lockless_walker<space_type, recheck>;

    handler handler_;
    walker walker_;
    fast_walker fast_walker_;
    composition<lock_type, handler, walker, fast_walker, typename space_type::observer_type>
        composed_;
};

}  // namespace mmhold
