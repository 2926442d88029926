// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/blocking.hpp>
#include <mmhold/fault/custom_source.hpp>
#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/file_backed.hpp>
#include <mmhold/fault/hugetlb.hpp>
#include <mmhold/fault/present_page.hpp>
#include <mmhold/fault/swap_wait.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>

namespace mmhold {

/// The page-fault entry of an address space (handle_mm_fault): finds the vma and lets the right
/// handler answer.
///
/// By the vma's source, if it has one: userfault, blocking, custom_source. Else by its object, if
/// it has one: hugetlb, file_backed. Else by its kind: anonymous memory, heap, stack, and shared
/// memory without a file: anonymous. Every other kind – vdso and vvar, files without an object –
/// and device memory (io, pfnmap) whose driver has named no source (special.hpp): what is mapped is
/// handled like any present page (a write to a private vdso page makes a copy), but nothing new is
/// mapped: bad_address. hugetlb without a hugetlb_object: bad_address always.
///
/// A fault with fault_flag::user is checked against the vma's permissions (permitted_by_vma);
/// without, the caller has done so, or may overrule them. What is on a slow swap device is waited
/// for first (swap_wait.hpp). Blocks where the source blocks. A cheap
/// view of an address space.
template<class Space>
class dispatch {
public:
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = fault_outcome<lock_type, machine>;
    static constexpr bool may_block = true;

    constexpr explicit dispatch(Space& space) noexcept
        : space_{space},
          present_{space},
          anonymous_{space},
          blocking_{space},
          file_backed_{space},
          hugetlb_{space} {}

    /// As FaultHandler says; outcomes are those of the handler in charge. No vma, or an access
    /// that is not permitted: failed with bad_address.
    constexpr outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                             cpu_type& me) {
        auto const site = locate_fault(space_, request, authority, me);
        if (!site) return outcome::failed(site.error(), fatal_signal::segmentation);
        auto const& area = *site->area;
        auto const by_user = site->flags.has(fault_flag::user);
        if (by_user && !permitted_by_vma(area, site->flags)) {
            return outcome::failed(errc::bad_address, fatal_signal::segmentation);
        }
        using wait = swap_wait<Space>;
        auto swapped = wait{space_}.before(*site, authority, me);
        if (swapped.what == wait::verdict::answered) return std::move(swapped.now);
        auto done = resolve(*site, authority, me);
        auto const major = swapped.what == wait::verdict::waited &&
                           done.kind() == fault_kind::installed;
        if (major) return outcome::installed_major();
        return done;
    }

private:
    /// By the handler in charge.
    constexpr outcome resolve(fault_site const& site, lock_authority<lock_type>& authority,
                              cpu_type& me) {
        auto const& area = *site.area;
        if (area.source != nullptr) return ask(*area.source, site, authority, me);
        if (area.flags.has(vma_flag::hugetlb)) return answer_hugetlb(site, me);
        if (area.object != nullptr) return file_backed_.answer(site, authority, me);
        if (starts_out_zero(area)) return anonymous_.answer(site, me);
        auto const present = present_.answer(site, me);
        return present ? present->template outcome<outcome>() : outcome::failed(errc::bad_address);
    }

    constexpr outcome answer_hugetlb(fault_site const& site, cpu_type& me) {
        auto* const object = hugetlb_object_of<Space>(*site.area);
        if (object == nullptr) return outcome::failed(errc::bad_address);
        auto const done = hugetlb_.answer(site, *object, me);
        return done ? outcome::installed() : outcome::failed(done.error());
    }

    [[nodiscard]] static constexpr bool starts_out_zero(vma const& area) noexcept {
        if (area.flags.has_any({vma_flag::io, vma_flag::pfnmap})) return false;
        switch (area.kind) {
            case vma_kind::anonymous:
            case vma_kind::stack:
            case vma_kind::heap: return true;
            case vma_kind::shmem: return area.file == 0;
            case vma_kind::file:
            case vma_kind::vdso:
            case vma_kind::vvar:
            case vma_kind::vsyscall:
            case vma_kind::other: return false;
        }
        return false;
    }

    constexpr outcome ask(fault_source& source, fault_site const& site,
                          lock_authority<lock_type>& authority, cpu_type& me) {
        switch (source.kind()) {
            case source_kind::userfault:
                return static_cast<userfault<Space>&>(source).answer(site, authority, me);
            case source_kind::blocking: return blocking_.answer(site, authority, me);
            case source_kind::custom:
                return static_cast<custom_source<Space>&>(source).answer(site, authority, me);
        }
        return outcome::failed(errc::bad_address);
    }

    Space& space_;
    present_page<Space> present_;
    anonymous<Space> anonymous_;
    blocking<Space> blocking_;
    file_backed<Space> file_backed_;
    hugetlb<Space> hugetlb_;
};

static_assert(FaultHandler<dispatch<detail::constexpr_space>, detail::constexpr_space::lock_type>);

}  // namespace mmhold
