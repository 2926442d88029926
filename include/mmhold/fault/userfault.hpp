// SPDX-License-Identifier: BSL-1.0
#pragma once

// userfault – pages are supplied, and writes permitted, by somebody else's program (userfaultfd).
//
//   mode            asks the pager about                              the pager answers with
//   missing         nothing is mapped, the object has no page         copy, zeropage, move, poison
//   minor           nothing is mapped, the object has the page        go_on
//   write_protect   a write meets what writeprotect() has protected   writeprotect(off)
// What a vma's modes do not ask about is answered as if there were no userfault. A write to a
// missing page that is also protected asks twice.
//
// Handler   (handle_userfault, gup-semantics §3, row by row) there is something to ask → rows 1 – 7
//           end it → queue the event → look again whether there still is, and whether the userfault
//           is still alive → give up the mm lock → answer RETRY with the ticket. It never sleeps:
//           the caller does, on the ticket, when and how it can.
// Pager     read an event → copy() and so on: takes the mm lock shared, installs where nothing is,
//           then wakes the range. Or wake() alone: then who was woken faults again, and a second,
//           identical event comes.
// Layout    register_range() and unregister_range() change the vmas, under the exclusive lock. Who
//           waits in a range that is unregistered is woken if it was registered for missing pages,
//           and otherwise not (measured on 6.18): wake() or close() does. munmap wakes nobody: what
//           was unmapped under a sleeper is found out when it is woken and looks the vma up again.
// Closer    stop(): faults from now on answer RETRY and queue nothing → the vmas are let go,
//           under the exclusive lock → everybody is woken.

#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/fault_around.hpp>
#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/file_backed.hpp>
#include <mmhold/fault/present_page.hpp>
#include <mmhold/fault/userfault_fill.hpp>
#include <mmhold/fault/userfault_modes.hpp>
#include <mmhold/fault/userfault_move.hpp>
#include <mmhold/fault/userfault_protect.hpp>
#include <mmhold/fault/userfault_queue.hpp>
#include <mmhold/fault/userfault_range.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/swap_store.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace mmhold {

/// Does putting a page in place wake those who wait for it?
enum class userfault_wake : std::uint8_t {
    now,    ///< yes
    later,  ///< no: somebody will call wake() (UFFDIO_COPY_MODE_DONTWAKE)
};

namespace detail {

/// A task that can say that it is on its way out.
template<class T>
concept KnowsItsEnd = requires(T const& who) {
    { who.exiting() } -> std::same_as<bool>;
};

/// Is the task exiting (PF_EXITING) or dumping core (PF_DUMPCORE)? A host says so by giving its
/// tasks an `exiting()`; a task without one never is.
template<class Task>
[[nodiscard]] constexpr bool is_leaving(Task const& who) noexcept {
    if constexpr (KnowsItsEnd<Task>) {
        return who.exiting();
    } else {
        return false;
    }
}

}  // namespace detail

/// A userfault of one address space. Serves any number of faulting tasks and pagers at once.
///
/// Locks: the mm lock is taken by those functions that say so, and never held across a wait.
/// Functions named *_locked want to see it held instead. It must outlive every vma that names it,
/// and every ticket it has given out: close() it before its address space ends, and destroy it when
/// counts().tickets is 0 – after close() no new ones come.
template<class Space>
class userfault : public fault_source {
public:
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = fault_outcome<lock_type, machine>;
    static constexpr bool may_block = SlowSwapStore<typename Space::swap_type>;

    /// Registers nothing yet.
    constexpr explicit userfault(Space& space, userfault_features features = {}) noexcept
        : fault_source{source_kind::userfault},
          space_{space},
          features_{features},
          present_{space} {}
    /// Precondition: closed, or never registered; no tickets are left.
    constexpr ~userfault() {
        machine::expect(closed_.get() || !used_.get(), "a userfault ends without close()");
    }

    [[nodiscard]] constexpr userfault_features features() const noexcept { return features_; }

    // ---- the layout -----------------------------------------------------------------------------

    /// Faults in `span` come here from now on, in these modes (UFFDIO_REGISTER). Holes are skipped;
    /// registering again is no error, the new modes take the place of the old. Takes the mm lock
    /// exclusively.
    ///
    /// Errors, and then nothing is registered: invalid_argument – empty, nothing mapped, not all
    /// user space, a mapping that cannot have it (check_userfault_vma), or stopped; busy – some
    /// part has another source; no_memory – a vma cannot be split; again – a lock that cannot be
    /// waited for was not free.
    constexpr result<void> register_range(cpu_type& me, page_span span,
                                          userfault_modes modes = userfault_mode::missing) {
        return exclusively(
            [&](auto const& held) { return register_range_locked(held, me, span, modes); });
    }
    /// The same under the caller's lock; errc::lock_not_held if it is not held.
    constexpr result<void> register_range_locked(held_exclusive<lock_type> const& held,
                                                 cpu_type& me, page_span span,
                                                 userfault_modes modes = userfault_mode::missing) {
        if (!held.guards(space_.lock())) return errc::lock_not_held;
        if (queue_.stopped()) return errc::invalid_argument;
        auto const fit = check_userfault_range(space_, held, span, *this, modes, features_);
        if (!fit) return fit;
        auto const done = space_.set_source_locked(held, me, span, this, flags_for(modes));
        if (done) used_.set(true);
        return done;
    }

    /// Faults in `span` do not come here any more; who waits in it is woken where missing pages
    /// were asked for, and finds the page as its vma would give it; nothing is write-protected any
    /// more (UFFDIO_UNREGISTER). Parts that were not registered stay as they are. Takes the mm lock
    /// exclusively. Errors, and then nothing has changed: invalid_argument – empty, nothing mapped,
    /// or some part has another source; no_memory; again.
    constexpr result<void> unregister_range(cpu_type& me, page_span span) {
        return exclusively(
            [&](auto const& held) { return unregister_range_locked(held, me, span); });
    }
    /// The same under the caller's lock.
    constexpr result<void> unregister_range_locked(held_exclusive<lock_type> const& held,
                                                   cpu_type& me, page_span span) {
        if (!held.guards(space_.lock())) return errc::lock_not_held;
        if (auto const fit = check_registered_range(space_, held, span, *this); !fit) return fit;
        // Woken early they wait for the lock that is held here.
        space_.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
            if (area.source == this && asks_for_missing(area)) (void)queue_.wake(part);
        });
        return let_go_of(held, me, span);
    }

    /// The first half of close(): from now on no event is queued; a fault that still comes here
    /// gives the mm lock up and answers RETRY, and pagers are told that nothing more will come.
    /// No lock needed.
    constexpr void stop() noexcept { queue_.stop(); }

    /// The end: lets go of every vma and wakes everybody, like closing the last descriptor. Takes
    /// the mm lock exclusively. Again: no effect. Errors: no_memory (the cpu is not valid()),
    /// again; then it is stopped but not closed.
    constexpr result<void> close(cpu_type& me) {
        stop();
        return exclusively([&](auto const& held) { return close_locked(held, me); });
    }
    /// The same under the caller's lock.
    constexpr result<void> close_locked(held_exclusive<lock_type> const& held, cpu_type& me) {
        if (!held.guards(space_.lock())) return errc::lock_not_held;
        stop();
        if (auto const done = release_vmas(held, me); !done) return done;
        closed_.set(true);
        (void)queue_.wake_all();
        return {};
    }

    // ---- faults ---------------------------------------------------------------------------------

    /// As FaultHandler says, for a vma that is registered here. What the pager is asked about: the
    /// table of gup-semantics §3; otherwise as anonymous and file_backed. installed, retry_kept,
    /// retry, or failed with bad_address (SIGBUS), hardware_poison, no_memory or lock_not_held.
    /// Never waits for the pager.
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
        if (present) return answer_present(site, *present, authority, me);
        return answer_missing(site, authority, me);
    }

    // ---- the pager ------------------------------------------------------------------------------

    /// The oldest unread event, if there is one. Never waits.
    [[nodiscard]] constexpr std::optional<userfault_event> read_event() noexcept {
        return queue_.read_event();
    }
    /// Waits for an event. Errors: interrupted; invalid_argument after stop(). No lock may be held
    /// that a faulting task needs.
    [[nodiscard]] constexpr result<userfault_event> wait_event(task<machine>& reader,
                                                               wait_mode mode) noexcept {
        return queue_.wait_event(reader, mode);
    }
    /// For userfault_notices.hpp: an event that nobody faults for, for `sender` to wait on. Error:
    /// no_memory.
    [[nodiscard]] constexpr result<userfault_notice<machine>> prepare_notice(
        task<machine>& sender, userfault_event const& what) {
        return queue_.prepare_notice(sender, what);
    }
    /// For fork: vmas of its space name it now. The mm lock is held exclusively.
    constexpr void adopt() noexcept { used_.set(true); }
    /// How many events and waiters there are now.
    [[nodiscard]] constexpr userfault_counts counts() noexcept { return queue_.counts(); }

    /// Puts pages with the bytes of `source` in place (UFFDIO_COPY), write-protected or not, then
    /// wakes the range they are in. Takes the mm lock shared. Errors in the answer: see
    /// userfault_filled; invalid_argument if `source` is not as long as `span`.
    constexpr userfault_filled copy(cpu_type& me, page_span span, std::span<std::byte const> source,
                                    userfault_wake wake_them = userfault_wake::now,
                                    userfault_protection protect = userfault_protection::off) {
        if (source.size() != span.bytes()) return {0, errc::invalid_argument};
        return copy_with(me, span, bytes_from{source}, wake_them, protect);
    }
    /// The same with contents made in place: fill(n, bytes) writes page n of `span`. It is called
    /// with the mm lock held shared, so it should have its data ready; a pool without bytes
    /// passes none.
    template<PageFiller Fill>
    constexpr userfault_filled copy_with(cpu_type& me, page_span span, Fill&& fill,
                                         userfault_wake wake_them = userfault_wake::now,
                                         userfault_protection protect = userfault_protection::off) {
        return put(me, span, fresh_page_filler<Space, Fill>{space_, fill, protect}, wake_them);
    }
    /// Puts zero pages in place (UFFDIO_ZEROPAGE), otherwise as copy().
    constexpr userfault_filled zeropage(cpu_type& me, page_span span,
                                        userfault_wake wake_them = userfault_wake::now) {
        return put(me, span, zero_page_filler<Space>{space_}, wake_them);
    }
    /// Shows the pages that shared memory has already (UFFDIO_CONTINUE), otherwise as copy(); in
    /// any mode.
    constexpr userfault_filled go_on(cpu_type& me, page_span span,
                                     userfault_wake wake_them = userfault_wake::now,
                                     userfault_protection protect = userfault_protection::off) {
        return put(me, span, cached_page_filler<Space>{space_, protect}, wake_them);
    }
    /// Declares pages lost (UFFDIO_POISON): every touch is SIGBUS from now on, gup reports
    /// bad_address, or hardware_poison to who asks for it. Otherwise as copy().
    constexpr userfault_filled poison(cpu_type& me, page_span span,
                                      userfault_wake wake_them = userfault_wake::now) {
        return put(me, span, poison_filler<Space>{space_}, wake_them);
    }

    /// Moves the pages of `from`, which are private and nobody else's, to the same number of pages
    /// from `to` on (UFFDIO_MOVE), then wakes those. Zero pages and swapped pages move, too; write
    /// protection stays behind. Takes the mm lock shared. Errors in the answer: exists – something
    /// is at the next destination; not_supported – nothing is at the next source, or at the start
    /// of a range no mapping (Linux: ENOENT); busy – pinned, or not exclusive; bad_address – the
    /// source is a marker; invalid_argument – the ranges do not lie in one private anonymous
    /// mapping each, with the same rights, both writable, the destination registered here;
    /// no_memory; again.
    constexpr userfault_filled move(cpu_type& me, virt_addr to, page_span from,
                                    userfault_wake wake_them = userfault_wake::now,
                                    userfault_holes holes = userfault_holes::refused) {
        auto const done = under_shared_lock<locked_fill>(space_.lock(), [&](auto const& held) {
            if (is_changing()) return locked_fill{errc::again};
            return locked_fill{move_userfault_pages(space_, held, me, to, from, *this, holes)};
        });
        return wake_filled(to, done, wake_them);
    }

    /// Write-protects the pages of `span`, or lifts the protection and wakes the range
    /// (UFFDIO_WRITEPROTECT). Pages that are not there are protected where absent_marks() says so.
    /// Takes the mm lock shared. Holes inside are skipped. Errors: bad_address – nothing is mapped,
    /// or a part is not registered in write-protect mode (Linux: ENOENT), the parts below it are
    /// done; invalid_argument – an empty range, or protecting without a wake that there is not;
    /// no_memory; again. After an error nobody is woken.
    constexpr result<void> writeprotect(cpu_type& me, page_span span, userfault_protection how,
                                        userfault_wake wake_them = userfault_wake::now) {
        auto const off = how == userfault_protection::off;
        auto const quiet = wake_them == userfault_wake::later;
        if (span.empty() || (!off && quiet)) return errc::invalid_argument;
        if (!me.valid()) return errc::no_memory;
        auto const done = under_shared_lock<result<void>>(
            space_.lock(), [&](auto const& held) { return protect(held, me, span, how); });
        if (done && off && !quiet) (void)queue_.wake(span);
        return done;
    }

    /// Wakes those who wait in `range`, whether their page is there or not (UFFDIO_WAKE); answers
    /// how many. No lock needed. Error: invalid_argument for an empty range.
    constexpr result<std::uint32_t> wake(page_span range) noexcept {
        if (range.empty()) return errc::invalid_argument;
        return queue_.wake(range);
    }

private:
    /// What a fill came to under the lock, or why the lock could not be had.
    struct locked_fill : userfault_filled {
        constexpr explicit locked_fill(userfault_filled done) noexcept : userfault_filled{done} {}
        constexpr explicit locked_fill(errc why) noexcept : userfault_filled{0, why} {}
    };

    /// What another handler has answered. busy, with the lock still held: the page was there, and
    /// was write-protected, between two looks.
    constexpr outcome unless_protected(outcome done, fault_site const& site,
                                       lock_authority<lock_type>& authority, cpu_type& me) {
        auto const again = done.error() == errc::busy && asks_for_writes(*site.area);
        if (again) return answer(site, authority, me);
        return done;
    }

    /// Has an operation begun that the pager has not heard of yet?
    constexpr bool is_changing() noexcept {
        constexpr userfault_features tell{
            userfault_feature::event_fork, userfault_feature::event_remap,
            userfault_feature::event_remove, userfault_feature::event_unmap};
        return features_.has_any(tell) && queue_.changing();
    }

    /// Something is mapped, and this is what became of it; or a write must be asked for.
    constexpr outcome answer_present(fault_site const& site, page_answer const& present,
                                     lock_authority<lock_type>& authority, cpu_type& me) {
        if (present.error() != errc::busy) return present.template outcome<outcome>();
        if (!features_.has(userfault_feature::wp_async)) {
            return ask_pager(site, userfault_event_flag::write_protect, authority, me);
        }
        auto const page = page_span::from(site.page(), page_count{1});
        auto const lifted = protect_userfault_pages(space_, me, *site.area, *page,
                                                    userfault_protection::off, mark_absent::no);
        return lifted ? answer(site, authority, me) : outcome::failed(lifted.error());
    }

    /// Nothing is mapped. Shared memory is missing where its object has no page, not where no entry
    /// is (§3, first paragraph); behind its end nobody is asked.
    constexpr outcome answer_missing(fault_site const& site, lock_authority<lock_type>& authority,
                                     cpu_type& me) {
        auto const& area = *site.area;
        // Before anybody is asked.
        if (site.write() && !area.flags.has(vma_flag::shared)) space_.note_own_pages(site.at);
        if (area.object == nullptr) {
            if (asks_for_missing(area)) return ask_pager(site, {}, authority, me);
            return unless_protected(anonymous<Space>{space_}.answer(site, me), site, authority, me);
        }
        auto& object = static_cast<typename Space::object_type&>(*area.object);
        auto const page = object.find(area.file_page_at(site.page()));
        if (page) space_.frames().put(*page);
        if (page && area.flags.has(vma_flag::userfault_minor)) {
            return ask_pager(site, userfault_event_flag::minor, authority, me);
        }
        if (page.error() == errc::again && asks_for_missing(area)) {
            // A read maps what is there around the page first (measured on 6.18).
            if (!site.write()) fault_around<Space>{space_}.map(site, me);
            return ask_pager(site, {}, authority, me);
        }
        return unless_protected(file_backed<Space>{space_}.answer(site, authority, me), site,
                                authority, me);
    }

    /// gup-semantics §3. Rows 1 – 7, then the event, which says `why`.
    constexpr outcome ask_pager(fault_site const& site, userfault_event_flags why,
                                lock_authority<lock_type>& authority, cpu_type& me) {
        auto const flags = site.flags;
        auto const by_kernel = !flags.has(fault_flag::user);
        auto const users_only = features_.has(userfault_feature::user_mode_only);
        if (detail::is_leaving(me.current())) return sigbus();                  // row 1
        if (site.area->source != this) return sigbus();                         // row 2
        if (features_.has(userfault_feature::sigbus)) return sigbus();          // row 3
        if (by_kernel && users_only) return sigbus();                           // row 4
        if (!flags.has(fault_flag::allow_retry)) return sigbus();               // row 5
        if (flags.has(fault_flag::retry_nowait)) return outcome::retry_kept();  // row 6
        auto permission = authority.permission();
        if (!permission) return sigbus();  // row 5 again: allow_retry was said, but not meant
        if (queue_.stopped()) return outcome::retry(permission->drop(), {});  // row 7
        return queue_event(site, why, *std::move(permission), me);
    }

    [[nodiscard]] static constexpr outcome sigbus() noexcept {
        return outcome::failed(errc::bad_address);
    }

    /// Rows 8 – 10. From the drop on nothing of `site` may be used.
    constexpr outcome queue_event(fault_site const& site, userfault_event_flags why,
                                  droppable<lock_type> permission, cpu_type& me) {
        auto const exact = features_.has(userfault_feature::exact_address);
        auto const what = why.with_if(site.write(), userfault_event_flag::write);
        auto ticket = queue_.raise(me.current(), exact ? site.at : site.page(), what);
        if (!ticket) return outcome::failed(ticket.error());
        auto const still = why.has(userfault_event_flag::write_protect)
                               ? present_.is_protected(me, site.at)
                               : present_.is_missing(me, site.at);
        if (!still) ticket->reset();
        return outcome::retry(permission.drop(), *std::move(ticket));
    }

    template<class Filler>
    constexpr userfault_filled put(cpu_type& me, page_span span, Filler filler,
                                   userfault_wake wake_them) {
        auto const done = under_shared_lock<locked_fill>(space_.lock(), [&](auto const& held) {
            if (is_changing()) return locked_fill{errc::again};
            return locked_fill{fill_userfault_range(space_, held, me, span, *this, filler)};
        });
        return wake_filled(span.start(), done, wake_them);
    }
    constexpr userfault_filled wake_filled(virt_addr at, userfault_filled done,
                                           userfault_wake wake_them) noexcept {
        auto const wanted = done.pages != 0 && wake_them == userfault_wake::now;
        if (wanted) (void)queue_.wake(*page_span::from(at, page_count{done.pages}));
        return done;
    }

    template<class Change>
    constexpr result<void> exclusively(Change&& change) {
        if constexpr (ExclusiveLockable<lock_type>) {
            auto const held = held_exclusive<lock_type>::acquire(space_.lock());
            return change(held);
        } else {
            auto const held = held_exclusive<lock_type>::try_acquire(space_.lock());
            return held ? change(*held) : result<void>{errc::again};
        }
    }

    constexpr result<void> release_vmas(held_exclusive<lock_type> const& held, cpu_type& me) {
        while (auto const mine = first_registered(space_, held, *this)) {
            if (auto const done = let_go_of(held, me, *mine); !done) return done;
        }
        return {};
    }

    /// The vmas in `span` that are registered here are not any more, and nothing in them is
    /// write-protected.
    constexpr result<void> let_go_of(held_exclusive<lock_type> const& held, cpu_type& me,
                                     page_span span) {
        if (!me.valid()) return errc::no_memory;
        auto lifted = result<void>{};
        space_.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
            if (area.source != this || !asks_for_writes(area)) return true;
            lifted = protect_userfault_pages(space_, me, area, part, userfault_protection::off,
                                             mark_absent::no);
            return lifted.has_value();
        });
        return lifted ? space_.set_source_locked(held, me, span, nullptr) : lifted;
    }

    template<class W>
    constexpr result<void> protect(W const& held, cpu_type& me, page_span span,
                                   userfault_protection how) {
        if (is_changing()) return errc::again;
        auto done = result<void>{errc::bad_address};
        space_.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
            done = errc::bad_address;
            if (asks_for_writes(area)) {
                done = protect_userfault_pages(space_, me, area, part, how,
                                               absent_marks(area, features_));
            }
            return done.has_value();
        });
        return done;
    }

    Space& space_;
    userfault_features features_;
    present_page<Space> present_;
    userfault_queue<machine> queue_;
    typename machine::template plain<bool> closed_{false};  // guarded by the mm lock
    typename machine::template plain<bool> used_{false};    // guarded by the mm lock
};

static_assert(FaultHandler<userfault<detail::constexpr_space>, detail::constexpr_space::lock_type>);

}  // namespace mmhold
