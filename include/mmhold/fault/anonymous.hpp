// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/fault/large_folio.hpp>
#include <mmhold/fault/present_page.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/swap_store.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>

namespace mmhold {

/// Memory that is zero until somebody writes: heaps, stacks, anonymous mappings.
///
/// Where nothing is mapped, a read of a private mapping gets the zero page; everything else gets a
/// zeroed frame of its own, writable if the vma is. Where something is mapped: present_page. (What
/// handle_pte_fault and do_anonymous_page do.) Where the vma may have large folios
/// (may_have_large_folios) and no page table is in the way, a large leaf: large_folio.
///
/// Never waits, never drops the mm lock. Does not look at a vma's object: shared memory that it
/// fills belongs to this address space alone, and nothing keeps its pages once they are unmapped.
/// (dispatch sends vmas with an object to file_backed.) A cheap view of an address space.
template<class Space>
class anonymous {
public:
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = fault_outcome<lock_type, machine>;
    static constexpr bool may_block = SlowSwapStore<typename Space::swap_type>;

    constexpr explicit anonymous(Space& space) noexcept
        : space_{space}, present_{space}, large_folio_{space} {}

    /// As FaultHandler says: installed, or failed with bad_address, no_memory or lock_not_held.
    constexpr outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                             cpu_type& me) {
        auto const site = locate_fault(space_, request, authority, me);
        return site ? answer(*site, me) : outcome::failed(site.error());
    }

    /// The same for a fault that has been located already. Mm lock: held shared.
    constexpr outcome answer(fault_site const& site, cpu_type& me) {
        auto const present = present_.answer(site, me);
        auto const done = present ? *present : page_answer{fill(site, me)};
        return done.template outcome<outcome>();
    }

private:
    /// Somebody else may have been faster (gup-semantics §6.2 #20): that is as good.
    constexpr result<void> fill(fault_site const& site, cpu_type& me) {
        if (may_have_large_folios(*site.area, space_.limits().transparent)) [[unlikely]] {
            if (large_folio_.fill(site, me)) return {};
        }
        auto const own_page = site.write() || site.area->flags.has(vma_flag::shared);
        auto const done = own_page ? fill_with_fresh_page(site, me) : fill_with_zero_page(site, me);
        return done.error() == errc::exists ? errc::ok : done.error();
    }

    constexpr result<void> fill_with_zero_page(fault_site const& site, cpu_type& me) {
        auto const leaf = zero_leaf_for(*site.area, space_.frames().zero_page());
        return install_leaf(space_, me, site.page(), leaf);
    }

    constexpr result<void> fill_with_fresh_page(fault_site const& site, cpu_type& me) {
        if (!site.area->flags.has(vma_flag::shared)) space_.note_own_pages(site.at);
        auto const page = allocate_page_for(space_, *site.area);
        if (!page) return page.error();
        // A write that FORCE has smuggled past a read-only vma gets a clean, read-only page.
        auto const dirties = site.write() && permits(site.area->prot, access::write);
        auto const why = dirties ? install_for::writing : install_for::reading;
        return install_page(space_, me, site.page(), leaf_for(*site.area, *page, why));
    }

    Space& space_;
    present_page<Space> present_;
    large_folio<Space> large_folio_;
};

static_assert(FaultHandler<anonymous<detail::constexpr_space>, detail::constexpr_space::lock_type>);

}  // namespace mmhold
