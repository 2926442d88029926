// SPDX-License-Identifier: BSL-1.0
#pragma once

// file_backed – faults on what shows the pages of an object: files, memfds, shared anonymous and
// secret memory.
//
//                      private mapping                      shared mapping
//   read, missing      the object's page, read-only         its page, with the vma's rights, but
//                                                           read-only if writes are announced
//   write, missing     a copy                               its page, writable, marked dirty
//   write, read-only   a copy (copy_on_write)               writable now, marked dirty
//   behind the end     bad_address (SIGBUS)                 the same
//
// Where the object has no page yet, shared memory gets a zeroed one at once. A file's page is read
// in, and the fault waits for that (read_wait.hpp).
//
// A read fault also maps what the object has already around it (fault_around.hpp); not for secret
// memory.
//
// Truncation may come at any time. Whatever took long was done before; the last step, page table
// entry included, is done under the object's pages lock, after a look whether the page is still the
// object's (page_cache.hpp, §6.2 #21).
//
// A write that has made a page of a dirty-tracked object writable pays its due afterwards: the
// object's brake may keep it asleep, on the first try with the mm lock given up, and then the
// answer is COMPLETED (§2.1).

#include <mmhold/fault/fault_around.hpp>
#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/fault/present_page.hpp>
#include <mmhold/fault/read_wait.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold {

/// Faults on vmas that name an object. A cheap view of an address space.
///
/// Blocks only where read_wait.hpp says "wait with the lock held", and in the brake.
template<class Space>
class file_backed {
public:
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using object_type = typename Space::object_type;
    using file_type = file_object<typename object_type::space_type>;
    using outcome = fault_outcome<lock_type, machine>;
    static constexpr bool may_block = true;

    constexpr explicit file_backed(Space& space) noexcept : space_{space}, present_{space} {}

    /// As FaultHandler says. installed; installed_major after waiting in place; retry; retry_kept;
    /// completed; failed with bad_address (no vma, no object, behind the end, the file's device is
    /// gone), no_memory, lock_not_held, interrupted (killed without permission to give the lock
    /// up), or what the file's server said.
    constexpr outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                             cpu_type& me) {
        auto const site = locate_fault(space_, request, authority, me);
        if (!site) return outcome::failed(site.error());
        return answer(*site, authority, me);
    }

    /// The same for a fault that has been located already.
    constexpr outcome answer(fault_site const& site, lock_authority<lock_type>& authority,
                             cpu_type& me) {
        if (site.area->object == nullptr) return outcome::failed(errc::bad_address);
        auto const present = present_.answer(site, me);
        if (!present) {
            auto const secret = object_of(site).kind() == object_kind::secret;
            if (!site.write() && !secret) fault_around<Space>{space_}.map(site, me);
            return bring_in(site, authority, me);
        }
        if (!*present) return present->template outcome<outcome>();
        return finish(site, authority, me, outcome::installed());
    }

private:
    [[nodiscard]] static constexpr object_type& object_of(fault_site const& site) noexcept {
        return static_cast<object_type&>(*site.area->object);
    }
    [[nodiscard]] static constexpr bool shared(fault_site const& site) noexcept {
        return site.area->flags.has(vma_flag::shared);
    }
    [[nodiscard]] static constexpr bool is_first_try(fault_site const& site) noexcept {
        return !site.flags.has(fault_flag::tried);
    }
    /// The permission to give the lock up, if the caller has it and the flags say so.
    [[nodiscard]] static constexpr auto permission_of(fault_site const& site,
                                                      lock_authority<lock_type>& authority) {
        auto const wanted =
            site.flags.has(fault_flag::allow_retry) && !site.flags.has(fault_flag::retry_nowait);
        return wanted ? authority.permission() : std::nullopt;
    }

    constexpr outcome bring_in(fault_site const& site, lock_authority<lock_type>& authority,
                               cpu_type& me) {
        auto& object = object_of(site);
        auto const index = site.area->file_page_at(site.page());
        if (site.write() && !shared(site)) space_.note_own_pages(site.at);
        auto waited = false;
        for (;;) {
            auto const page = get_page(object, index);
            if (page) {
                auto const done = install(site, object, index, *page, me);
                space_.frames().put(*page);
                if (done.error() == errc::again) continue;  // truncated or punched meanwhile
                auto const there = done || done.error() == errc::exists;  // §6.2 #20
                if (!there) return outcome::failed(done.error());
                return finish(site, authority, me,
                              waited ? outcome::installed_major() : outcome::installed());
            }
            if (page.error() != errc::again) return outcome::failed(page.error());
            if (auto over = read_in(site, object, index, authority, me)) return *std::move(over);
            waited = true;
        }
    }

    /// The object's page, with a reference. again: it must be read in.
    [[nodiscard]] static constexpr result<pfn> get_page(object_type& object, std::uint64_t index) {
        if (object.kind() == object_kind::file) return object.find(index);
        return object.find_or_add_zeroed(index);
    }

    /// Nothing: the page was waited for, look again. Otherwise this is the answer, and if the lock
    /// is lost nothing of `site` may be used any more.
    constexpr std::optional<outcome> read_in(fault_site const& site, object_type& object,
                                             std::uint64_t index,
                                             lock_authority<lock_type>& authority, cpu_type& me) {
        auto& file = static_cast<file_type&>(object);
        return wait_for_read<machine>(site.flags, authority,
                                      [&] { return file.ask(me.current(), index); });
    }

    constexpr result<void> install(fault_site const& site, object_type& object, std::uint64_t index,
                                   pfn page, cpu_type& me) {
        if (site.write() && !shared(site)) return install_copy(site, object, index, page, me);
        return object.while_cached(index, page, [&]() -> result<void> {
            auto const why = site.write() ? install_for::writing : install_for::reading;
            space_.frames().get(page);
            auto const leaf = leaf_for(*site.area, page, why);
            auto const done = install_page(space_, me, site.page(), leaf);
            // After the entry is writable: see page_cache.hpp, write-back.
            if (done && site.write()) space_.frames().mark_dirty(page);
            return done;
        });
    }

    /// The first write to a private mapping: its own page, with the object's contents.
    constexpr result<void> install_copy(fault_site const& site, object_type& object,
                                        std::uint64_t index, pfn page, cpu_type& me) {
        auto& frames = space_.frames();
        auto const copy = allocate_copy_of(frames, page);
        if (!copy) return copy.error();
        auto const done = object.while_cached(index, page, [&] {
            auto const leaf = leaf_for(*site.area, *copy, install_for::writing);
            return install_leaf(space_, me, site.page(), leaf);
        });
        if (!done) frames.put(*copy);
        return done;
    }

    /// A write to a dirty-tracked object is done; may the writer go on?
    constexpr outcome finish(fault_site const& site, lock_authority<lock_type>& authority,
                             cpu_type& me, outcome done) {
        auto const announces = site.write() && shared(site) && object_of(site).dirty_tracked();
        auto* const brake = announces ? object_of(site).brake() : nullptr;
        if (brake == nullptr) return done;
        auto permission = permission_of(site, authority);
        if (!permission || !is_first_try(site)) {
            brake->balance(me.current());
            return done;
        }
        auto proof = permission->drop();
        brake->balance(me.current());
        return outcome::completed(std::move(proof));
    }

    Space& space_;
    present_page<Space> present_;
};

static_assert(
    FaultHandler<file_backed<detail::constexpr_space>, detail::constexpr_space::lock_type>);

}  // namespace mmhold
