// SPDX-License-Identifier: BSL-1.0
#pragma once

// blocking – how it was before RETRY: the fault waits for its page with the mm lock held.
//
// Whoever wants the lock exclusively waits as long as the page takes, and behind that writer every
// later reader: the stall that get_user_pages learnt to avoid. It is here to be compared with.

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/fault/page_source.hpp>
#include <mmhold/fault/present_page.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>

namespace mmhold {

/// Faults on vmas whose source is a page_source. A cheap view of an address space.
///
/// **It blocks**: where nothing is mapped, handle() sleeps until the source has answered –
/// killably if the fault is killable, else uninterruptibly; other signals wait, as for a disk –
/// and keeps the mm lock meanwhile. Not for hosts without threads.
///
/// Pages read from a private mapping are page-cache frames, mapped read-only, and copied by the
/// first write; a write gets an anonymous page at once; shared mappings share with nobody but
/// themselves.
template<class Space>
class blocking {
public:
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using source_type = page_source<Space>;
    using outcome = fault_outcome<lock_type, machine>;
    static constexpr bool may_block = true;

    constexpr explicit blocking(Space& space) noexcept : space_{space}, present_{space} {}

    /// As FaultHandler says. Something mapped: as present_page. Nothing mapped: installed_major
    /// after the wait; retry_kept for RETRY_NOWAIT, without asking the source; killed: the lock
    /// is dropped and it is retry if the caller permits that (§2.1, last row), else failed with
    /// interrupted; failed with what the source says, no_memory, bad_address (no vma, or its
    /// source is none).
    constexpr outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                             cpu_type& me) {
        auto const site = locate_fault(space_, request, authority, me);
        if (!site) return outcome::failed(site.error());
        return answer(*site, authority, me);
    }

    /// The same for a fault that has been located already.
    constexpr outcome answer(fault_site const& site, lock_authority<lock_type>& authority,
                             cpu_type& me) {
        auto const present = present_.answer(site, me);
        if (!present) return fetch(site, authority, me);
        return present->template outcome<outcome>();
    }

private:
    constexpr outcome fetch(fault_site const& site, lock_authority<lock_type>& authority,
                            cpu_type& me) {
        auto* const source = site.area->source;
        auto const known = source != nullptr && source->kind() == source_kind::blocking;
        if (!known) return outcome::failed(errc::bad_address);
        if (site.flags.has(fault_flag::retry_nowait)) return outcome::retry_kept();
        auto const kind = makes_a_copy(site) ? frame_kind::anonymous : frame_kind::page_cache;
        auto const mode =
            site.flags.has(fault_flag::killable) ? wait_mode::killable : wait_mode::uninterruptible;
        auto const page = static_cast<source_type*>(source)->fetch(me.current(), *site.area,
                                                                   site.page(), kind, mode);
        if (page) return install(site, *page, me);
        if (page.error() == errc::interrupted) return killed(authority);
        return outcome::failed(page.error());
    }

    /// A write to a private mapping never sees the file's page, only its own.
    [[nodiscard]] static constexpr bool makes_a_copy(fault_site const& site) noexcept {
        return site.write() && !site.area->flags.has(vma_flag::shared);
    }

    [[nodiscard]] static constexpr outcome killed(lock_authority<lock_type>& authority) {
        auto permission = authority.permission();
        if (!permission) return outcome::failed(errc::interrupted);
        return outcome::retry(permission->drop(), {});
    }

    constexpr outcome install(fault_site const& site, pfn page, cpu_type& me) {
        if (makes_a_copy(site)) space_.frames().set_exclusive(page);
        auto const why = site.write() ? install_for::writing : install_for::reading;
        Space::machine::note(claim::used, site.area);  // the wait is over: is the hold, too?
        auto const done = install_page(space_, me, site.page(), leaf_for(*site.area, page, why));
        auto const there = done || done.error() == errc::exists;  // somebody was faster (§6.2 #20)
        return there ? outcome::installed_major() : outcome::failed(done.error());
    }

    Space& space_;
    present_page<Space> present_;
};

static_assert(FaultHandler<blocking<detail::constexpr_space>, detail::constexpr_space::lock_type>);

}  // namespace mmhold
