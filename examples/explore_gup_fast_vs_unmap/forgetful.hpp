// SPDX-License-Identifier: BSL-1.0
#pragma once

// A mutant by type: the get_user_pages of a kernel whose lockless walk does not read the page table
// entry a second time after it has taken the frame. Everything else is the library's.
//
// gup asks gup_parts<space, kernel> for its lock, its fault handler and its walkers. So a kernel
// with another walker is a name, and the parts for that name.

#include <mmhold/gup/over_space.hpp>

#include <cstdint>
#include <optional>

namespace unmap {

/// The lockless walk, told at its second look at a leaf what it saw at the first.
template<class Space>
class forgetful_walker : mmhold::lockless_walker<Space> {
    using right = mmhold::lockless_walker<Space>;

public:
    using typename right::cursor;
    using typename right::ticket;
    using typename right::witness;

    explicit forgetful_walker(Space& space) : right{space} {}

    using right::begin_walk;
    using right::deliver;
    using right::put_back;
    using right::user_end;
    using right::walk_was_undisturbed;

    void seek(cursor& walk, mmhold::walk_request const& request, witness& inside) {
        leaf_.reset();
        right::seek(walk, request, inside);
    }
    std::uint64_t read(mmhold::entry_query query) {
        if (query.level != 0) return right::read(query);
        if (!leaf_) leaf_ = right::read(query);
        return *leaf_;
    }

private:
    std::optional<std::uint64_t> leaf_{};
};

/// gup_fast<forgetful_kernel>(...) walks so.
struct forgetful_kernel : mmhold::linux_6_18 {};

}  // namespace unmap

template<class Config>
struct mmhold::gup_parts<mmhold::address_space<Config>, unmap::forgetful_kernel> {
    using space_type = address_space<Config>;
    using cpu_type = typename space_type::cpu_type;

    gup_parts(space_type& space, cpu_type& me)
        : handler_{space},
          walker_{space, me},
          fast_walker_{space},
          composed_{compose(space.lock(), handler_, walker_, fast_walker_)} {}
    gup_parts(gup_parts const&) = delete;
    gup_parts& operator=(gup_parts const&) = delete;
    ~gup_parts() = default;

    [[nodiscard]] auto const& composed() const { return composed_; }

private:
    using lock_type = typename space_type::lock_type;
    using handler = dispatch<space_type>;
    using walker = locked_walker<space_type>;
    using fast_walker = unmap::forgetful_walker<space_type>;

    handler handler_;
    walker walker_;
    fast_walker fast_walker_;
    composition<lock_type, handler, walker, fast_walker> composed_;
};
