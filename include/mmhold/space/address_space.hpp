// SPDX-License-Identifier: BSL-1.0
#pragma once

// address_space – the memory of one process: a layout of mappings, page tables, and one lock.
//
// Lookers    (faults, gup, /proc readers) hold the mm lock shared: no mapping comes, goes or
// changes its
//            rights meanwhile. Pages may come (a fault) and go (dontneed): page tables have locks
//            of their own.
// Changers   (mmap, munmap, mprotect) hold it exclusively, from the first check to the last flush.
// Nobody     (gup_fast) looks at page tables and frames only, never at the layout.
//
// munmap     refuse what can be refused, reserve memory → clear entries, flush, release pages →
//            tell the objects, take the mappings out → unlink empty tables, flush, retire them.
//            (gup-semantics §6.1) Who truncates an object walks page tables without the mm lock; it
//            is told before they go (object_mappings.hpp).
// dontneed   lock shared → clear entries, flush, release pages → retire tables that became empty.
// mprotect   mapping by mapping: change entries, flush → change the mapping.
// exit       lock shared: clear entries, flush, release pages → lock exclusive: unlink all tables,
//            flush, retire them → retire the root → forget the mappings.
//
// Where Linux stops half-way for want of memory this stops before it begins, except that mprotect
// and dontneed keep what they did to earlier mappings, as Linux does.

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/lock/seq_count.hpp>
#include <mmhold/observe/observer.hpp>
#include <mmhold/paging/page_table.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/entry_rights.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/layout.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/object_link.hpp>
#include <mmhold/space/object_mappings.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/resident_set.hpp>
#include <mmhold/space/space_config.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/unmapped_pages.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace mmhold {

/// The address space of one process.
///
/// Frames, table memory and reclaimer belong to the caller, may serve several address spaces, and
/// outlive this one. Every operation that changes something exists twice: `f(me, ...)` takes the
/// lock itself (killable where Linux does: then also errc::interrupted; a lock that cannot be
/// waited for is tried once: errc::again), `f_locked(witness, me, ...)` wants to see it held
/// (errc::lock_not_held otherwise). A cpu or a space that could not be built: errc::no_memory.
template<SpaceConfig Config>
class address_space {
public:
    using machine = typename Config::machine;
    using format = typename Config::format;
    using lock_type = typename Config::lock;
    using reclaimer = typename Config::reclaimer;
    using tables_type = typename Config::tables;
    using observer_type = typename Config::observer;
    using flush_type = typename Config::flush;
    using swap_type = typename detail::swap_of<Config>::type;
    using cpu_type = cpu<reclaimer>;
    using pool_type = frame_pool<machine>;
    using table_type = page_table<format, tables_type>;
    using vma_ref_type = vma_ref<lock_type>;
    using object_type = page_cache<address_space>;

    /// An empty space without observer and TLB.
    constexpr address_space(pool_type& frames, tables_type& tables, reclaimer& domain,
                            layout_limits const& limits = layout_limits::of(
                                format::virtual_bits)) requires std::is_empty_v<observer_type> &&
        std::is_empty_v<flush_type> : address_space{frames, tables, domain, {}, {}, limits} {}
    /// An empty space that reports to `observer` and forgets translations by `flush`; both outlive
    /// it.
    constexpr address_space(pool_type& frames, tables_type& tables, reclaimer& domain,
                            observer_type& observer, flush_type& flush,
                            layout_limits const& limits = layout_limits::of(format::virtual_bits))
        : address_space{frames,
                        tables,
                        domain,
                        detail::attached<observer_type>{observer},
                        detail::attached<flush_type>{flush},
                        limits} {}
    address_space(address_space const&) = delete;
    address_space& operator=(address_space const&) = delete;
    /// Does exit() if nobody has. Nobody holds the lock, walks, or uses the space in any way.
    constexpr ~address_space() {
        if (!valid()) return;
        cpu_type last{domain_};
        auto const held = held_exclusive<lock_type>::try_acquire(lock_);
        machine::expect(held.has_value(), "an address_space ends while somebody holds its lock");
        machine::expect(last.valid(), "an address_space ends without memory for exit(): call it");
        if (held && last.valid()) exit_locked(*held, last);
    }

    /// Was there memory for the root table, and has exit() not been called?
    [[nodiscard]] constexpr bool valid() const noexcept { return table_.valid(); }

    /// The mm lock.
    [[nodiscard]] constexpr lock_type& lock() noexcept { return lock_; }
    [[nodiscard]] constexpr lock_type const& lock() const noexcept { return lock_; }
    [[nodiscard]] constexpr pool_type& frames() const noexcept { return frames_; }
    [[nodiscard]] constexpr table_type& table() noexcept { return table_; }
    [[nodiscard]] constexpr table_type const& table() const noexcept { return table_; }
    [[nodiscard]] constexpr reclaimer& domain() const noexcept { return domain_; }
    [[nodiscard]] constexpr observer_type& observer() noexcept { return observer_.get(); }
    [[nodiscard]] constexpr flush_type& flush() noexcept { return flush_.get(); }
    [[nodiscard]] constexpr layout_limits const& limits() const noexcept {
        return layout_.limits();
    }

    /// Where pages are swapped out to; nullptr: nowhere. Set it before anybody uses the space; the
    /// store outlives it.
    [[nodiscard]] constexpr swap_type* swap() const noexcept { return swap_; }
    constexpr void use_swap(swap_type& store) noexcept { swap_ = &store; }

    /// A page beyond user space that every process may read, without a vma: vsyscall=emulate
    /// (gup-semantics §4.6). `page`: held by the caller. Set it before anybody uses the space.
    constexpr void use_gate_page(virt_addr at, pfn page) noexcept { gate_ = {at, page}; }
    /// The page, if that is what `at` lies in.
    [[nodiscard]] constexpr std::optional<pfn> gate_page(virt_addr at) const noexcept {
        auto const here = gate_.first != virt_addr{} && gate_.first == at.page_start();
        return here ? std::optional{gate_.second} : std::nullopt;
    }

    /// Odd while fork copies the page tables: gup_fast does not pin then (gup-semantics §5.1 item
    /// 7).
    [[nodiscard]] constexpr seq_count<machine>& write_protect_seq() noexcept {
        return write_protect_seq_;
    }
    /// Has a page of this space ever been pinned (MMF_HAS_PINNED)? Fork asks, after the sequence is
    /// odd; pinners say so before they read the sequence.
    [[nodiscard]] constexpr bool has_pinned() const noexcept {
        return has_pinned_.load(relaxed) != 0;
    }
    constexpr void set_has_pinned() noexcept {
        if (!has_pinned()) has_pinned_.store(1, relaxed);
    }

    /// The vma that contains `at`, if any. `held` proves that the mm lock is held and outlives the
    /// answer's use.
    template<WitnessOf<lock_type> W>
    [[nodiscard]] constexpr std::optional<vma_ref_type> find(virt_addr at,
                                                             W const& held) const noexcept {
        auto const& map = looked_at(held);
        auto const index = map.find(at);
        if (index == map.npos) return std::nullopt;
        return vma_ref_type{lock_, map[index], map.version()};
    }
    /// No: the hold would end with the expression, the vma_ref would not.
    template<WitnessOf<lock_type> W>
    requires(!std::is_lvalue_reference_v<W>)
        [[nodiscard]] constexpr std::optional<vma_ref_type> find(virt_addr, W&&) const noexcept {
        static_assert(detail::never<W>,
                      "mmhold: a temporary witness ends its hold at once; give it a name");
        return std::nullopt;
    }
    /// Calls visit(vma const&) for every mapping, lowest first. It must not change the layout.
    template<WitnessOf<lock_type> W, std::invocable<vma const&> Visit>
    constexpr void for_each_vma(W const& held, Visit&& visit) const {
        auto const& map = looked_at(held);
        for (std::size_t index = 0; index < map.size(); ++index) visit(map[index]);
    }
    /// Calls visit(vma const&, page_span part) for the mappings that overlap `span`, lowest first,
    /// with the part of `span` that lies in each. It must not change the layout. If it answers
    /// something, it answers whether to go on.
    template<WitnessOf<lock_type> W, std::invocable<vma const&, page_span> Visit>
    constexpr void for_each_vma_in(W const& held, page_span span, Visit&& visit) const {
        using answer = std::invoke_result_t<Visit&, vma const&, page_span>;
        auto const& map = looked_at(held);
        for (auto index = map.find_at_or_above(span.start());
             index < map.size() && map[index].span.overlaps(span); ++index) {
            auto const part = detail::common_pages(map[index].span, span);
            if constexpr (std::is_void_v<answer>) {
                visit(map[index], part);
            } else {
                if (!visit(map[index], part)) return;
            }
        }
    }
    /// The layout itself, for operations that change vmas in ways of their own (mremap, madvise).
    /// Who does leaves no page mapped outside of the vmas, and tells the objects (object_link.hpp).
    [[nodiscard]] constexpr layout<machine>& layout_for_change(
        held_exclusive<lock_type> const& held) noexcept {
        (void)looked_at(held);
        return layout_;
    }
    /// For who is about to map a page of its own in the mapping at `at`, if any: see page_family.
    /// The mm lock is held, shared or exclusively.
    constexpr void note_own_pages(virt_addr at) noexcept { layout_.note_own_pages(at); }
    /// How many mappings there are.
    template<WitnessOf<lock_type> W>
    [[nodiscard]] constexpr std::size_t vma_count(W const& held) const noexcept {
        return looked_at(held).size();
    }

    /// Pages mapped now. No lock needed.
    [[nodiscard]] constexpr resident_pages resident() const noexcept { return resident_.now(); }
    /// For who has just installed `entry`, which maps `pages` pages: it counts, and the references
    /// it stands for – one per page, unless it is special – are the page table's from now on. The
    /// page table lock is still held.
    constexpr void note_mapped(page_entry const& entry, std::uint64_t pages) noexcept {
        if (!is_counted(entry)) return;
        frames_.add_mappings(entry.target, static_cast<std::uint32_t>(pages));
        resident_.add(frames_.kind(entry.target), frames_.attributes(entry.target), pages);
    }
    /// For who has just removed `entry`, lock still held. True: the caller has to put() the
    /// references, once the translation is flushed. A swapped entry gives its slot back here.
    [[nodiscard]] constexpr bool note_unmapped(page_entry const& entry,
                                               std::uint64_t pages) noexcept {
        if (is_swapped(entry) && swap_ != nullptr) swap_->release(slot_of(entry));
        if (!is_counted(entry)) return false;
        if (frames_.kind(entry.target) != frame_kind::anonymous) {
            if (entry.dirty) frames_.mark_dirty(entry.target);
            if (entry.accessed) frames_.mark_accessed(entry.target);
        }
        frames_.remove_mappings(entry.target, static_cast<std::uint32_t>(pages));
        resident_.remove(frames_.kind(entry.target), frames_.attributes(entry.target), pages);
        return true;
    }

    /// mmap(2): a new mapping; answers where it begins. Errors: invalid_argument – no pages, or a
    /// fixed place that is not page-aligned; no_memory – no room, outside of user space, too many
    /// mappings, memory exhausted; exists – fixed_noreplace; overflow – of the file's pages. After
    /// an error nothing has changed. Shared anonymous memory gets an object of its own, which ends
    /// with the last mapping of it.
    [[nodiscard]] constexpr result<virt_addr> mmap(cpu_type& me, mmap_request const& request) {
        return under_exclusive_lock<result<virt_addr>>(
            lock_, me.current(), [&](auto const& held) { return mmap_locked(held, me, request); });
    }
    [[nodiscard]] constexpr result<virt_addr> mmap_locked(held_exclusive<lock_type> const& held,
                                                          cpu_type& me,
                                                          mmap_request const& request) {
        if (auto const refused = admit(held, me); refused != errc::ok) return refused;
        auto const span = layout_.prepare_add(request);
        if (!span) return span.error();
        auto link = object_link<address_space>::make(*this, request);
        if (!link) return link.error();
        if (auto const free = take_away(me, *span); !free) {
            link->abandon();
            return free.error();
        }
        auto area = make_vma(request, *span);
        area.object = link->object();
        layout_.add(area, request.origin);
        link->connect(*this, *span, area.file_page);
        notify<machine>(observer(), event_kind::mapped, me.id(), span->start().value,
                        span->pages());
        return span->start();
    }

    /// munmap(2): `span` is not mapped any more; mappings that reach over its ends are split.
    /// Nothing mapped there is no error. Errors: invalid_argument – empty, or not all user space;
    /// no_memory – a mapping or a large leaf cannot be split. After an error nothing has changed.
    constexpr result<void> munmap(cpu_type& me, page_span span) {
        return under_exclusive_lock<result<void>>(
            lock_, me.current(), [&](auto const& held) { return munmap_locked(held, me, span); });
    }
    constexpr result<void> munmap_locked(held_exclusive<lock_type> const& held, cpu_type& me,
                                         page_span span) {
        if (auto const refused = admit(held, me); refused != errc::ok) return refused;
        if (auto const ready = layout_.prepare_remove(span); !ready) return ready;
        return take_away(me, span);
    }

    /// mprotect(2), and pkey_mprotect(2) with a `key`: mappings are split and joined as needed.
    /// Errors: no_memory – a hole, or a mapping or a large leaf cannot be split; access_denied – a
    /// mapping can never have such rights; invalid_argument – no such key. Mappings
    /// below the one that failed have the new rights, those above have not.
    constexpr result<void> mprotect(cpu_type& me, page_span span, protection wanted,
                                    std::optional<std::uint8_t> key = {}) {
        return under_exclusive_lock<result<void>>(lock_, me.current(), [&](auto const& held) {
            return mprotect_locked(held, me, span, wanted, key);
        });
    }
    constexpr result<void> mprotect_locked(held_exclusive<lock_type> const& held, cpu_type& me,
                                           page_span span, protection wanted,
                                           std::optional<std::uint8_t> key = {}) {
        if (auto const refused = admit(held, me); refused != errc::ok) return refused;
        if (key && *key >= protection_keys) return errc::invalid_argument;
        for (auto left = span; !left.empty();) {
            auto const step = layout_.prepare_protect(left, wanted, key);
            if (!step) return step.error();
            if (auto const done = change_rights(me, *step); !done) return done;
            left = detail::pages_between(step->part.span.end(), span.end());
        }
        return {};
    }

    /// Lets `source` answer the faults of what is mapped in `span` (what UFFDIO_REGISTER does to
    /// vmas); nullptr gives them back to the handlers of their kinds. Holes are skipped. Errors,
    /// and then nothing has changed: invalid_argument – empty, or not all user space; no_memory – a
    /// vma cannot be split.
    constexpr result<void> set_source(cpu_type& me, page_span span, fault_source* source) {
        return under_exclusive_lock<result<void>>(lock_, me.current(), [&](auto const& held) {
            return set_source_locked(held, me, span, source);
        });
    }
    constexpr result<void> set_source_locked(held_exclusive<lock_type> const& held, cpu_type& me,
                                             page_span span, fault_source* source,
                                             vma_flags modes = {}) {
        if (auto const refused = admit(held, me); refused != errc::ok) return refused;
        if (auto const ready = layout_.prepare_source(span); !ready) return ready;
        layout_.set_source(span, source, modes);
        return {};
    }

    /// The mark that mlock(2) and munlock(2) leave on vmas; no page is brought in or let go.
    /// Errors: no_memory – a hole: what lies below it is marked; or a vma cannot be split;
    /// invalid_argument – not all user space.
    constexpr result<void> set_locked(cpu_type& me, page_span span, mark_locked how) {
        return under_exclusive_lock<result<void>>(lock_, me.current(), [&](auto const& held) {
            return set_locked_locked(held, me, span, how);
        });
    }
    constexpr result<void> set_locked_locked(held_exclusive<lock_type> const& held, cpu_type& me,
                                             page_span span, mark_locked how) {
        if (auto const refused = admit(held, me); refused != errc::ok) return refused;
        auto const mapped = layout_.mapped_part(span);
        if (!mapped.empty()) {
            if (auto const ready = layout_.prepare_source(mapped); !ready) return ready;
            layout_.set_locked(mapped, how);
        }
        return mapped == span ? errc::ok : errc::no_memory;
    }

    /// madvise(MADV_DONTNEED): the pages go, mappings and guards stay. Errors: invalid_argument – a
    /// mapping whose pages must stay (discarded_part), those above it are left alone;
    /// no_memory – there was a hole (everything else is done), or a large leaf cannot be split.
    constexpr result<void> dontneed(cpu_type& me, page_span span,
                                    locked_pages locked = locked_pages::stay) {
        return under_shared_lock<result<void>>(
            lock_, [&](auto const& held) { return dontneed_locked(held, me, span, locked); });
    }
    template<WitnessOf<lock_type> W>
    constexpr result<void> dontneed_locked(W const& held, cpu_type& me, page_span span,
                                           locked_pages locked = locked_pages::stay) {
        if (auto const refused = admit(held, me); refused != errc::ok) return refused;
        auto const discard = [&](vma const& area, page_span part) -> result<void> {
            auto const gone = discarded_part(area, part, locked);
            if (!gone) return gone.error();
            auto const marks = is_anonymous(area)
                                   ? staying_marks{staying_mark::guard}
                                   : staying_marks{staying_mark::guard, staying_mark::userfault_wp};
            return drop_pages(me, *gone, marks);
        };
        return for_each_advised(held, *this, span, discard);
    }

    /// Everything goes but the space itself: pages, tables below the root, mappings. It is empty
    /// then, and as good as new. Cannot fail for want of memory.
    constexpr void unmap_all_locked(held_exclusive<lock_type> const& held, cpu_type& me) {
        if (admit(held, me) != errc::ok) return;
        forget_all_objects(me);
        unmapped_pages<address_space> gone{*this, me, empty_tables::stay};
        auto const emptied = table_.unmap(me, all_pages(), gone, flush());
        auto const freed = table_.free_tables(me, all_pages(), virt_addr{}, limits().end, flush());
        machine::expect(emptied && freed, "unmap_all: no leaf reaches over the end of user space");
        layout_.clear();
    }

    /// The end of the process: all pages and tables go, then the mappings. Only those who hold the
    /// lock may still be at work, nobody else walks. valid() is false afterwards.
    constexpr void exit(cpu_type& me) requires BlockingMmLock<lock_type> {
        if (!valid() || !me.valid()) return;
        {
            auto const held = held_shared<lock_type>::acquire(lock_);
            (void)drop_pages(me, all_pages());
        }
        auto const held = held_exclusive<lock_type>::acquire(lock_);
        exit_locked(held, me);
    }
    constexpr void exit_locked(held_exclusive<lock_type> const& held, cpu_type& me) {
        if (admit(held, me) != errc::ok) return;
        forget_all_objects(me);
        unmapped_pages<address_space> leftovers{*this, me, empty_tables::stay};
        table_.destroy(me, leftovers, flush());
        layout_.clear();
    }

private:
    static constexpr std::uint8_t protection_keys = 16;

    constexpr address_space(pool_type& frames, tables_type& tables, reclaimer& domain,
                            detail::attached<observer_type> observer,
                            detail::attached<flush_type> flush, layout_limits const& limits)
        : frames_{frames},
          domain_{domain},
          observer_{observer},
          flush_{flush},
          layout_{limits},
          table_{tables} {
        machine::name(&lock_, "mm lock");
    }

    [[nodiscard]] constexpr page_span all_pages() const noexcept {
        return detail::pages_between(virt_addr{}, limits().end);
    }
    [[nodiscard]] constexpr bool is_counted(page_entry const& entry) const noexcept {
        return maps_frame(frames_, entry);
    }

    template<class W>
    [[nodiscard]] constexpr vma_map<machine> const& looked_at(W const& held) const noexcept {
        if (!held.guards(lock_)) detail::this_witness_no_longer_holds_its_lock();
        return layout_.map();
    }
    template<class W>
    [[nodiscard]] constexpr errc admit(W const& held, cpu_type const& me) const noexcept {
        if (!held.guards(lock_)) return errc::lock_not_held;
        return valid() && me.valid() ? errc::ok : errc::no_memory;
    }

    /// Before the tables go: pages first, so that who truncates meanwhile finds them all.
    constexpr void forget_all_objects(cpu_type& me) {
        if (!layout_.maps_objects(all_pages())) return;
        (void)drop_pages(me, all_pages());
        mapping_stretch<address_space> unused;
        forget_objects(*this, layout_.map(), all_pages(), unused);
    }

    /// munmap, from where nothing but the splitting of a large leaf can fail, and memory for the
    /// bookkeeping of objects.
    constexpr result<void> take_away(cpu_type& me, page_span span) {
        if (!layout_.map().overlaps(span)) return {};
        mapping_stretch<address_space> memory;
        if (layout_.maps_objects(span)) {
            memory.fill();
            if (memory.empty()) return errc::no_memory;
        }
        unmapped_pages<address_space> gone{*this, me, empty_tables::stay};
        if (auto const done = table_.unmap(me, span, gone, flush()); !done) return done;
        forget_objects(*this, layout_.map(), span, memory);
        layout_.remove(span);
        auto const& map = layout_.map();
        auto const above = map.find_at_or_above(span.start());
        auto const floor = above == 0 ? virt_addr{} : map[above - 1].span.end();
        auto const ceiling = above == map.size() ? limits().end : map[above].span.start();
        auto const freed = table_.free_tables(me, span, floor, ceiling, flush());
        machine::expect(freed.has_value(), "munmap: its limits cut into the span");
        notify<machine>(observer(), event_kind::unmapped, me.id(), span.start().value,
                        span.pages());
        return {};
    }

    constexpr result<void> change_rights(cpu_type& me,
                                         typename layout<machine>::rights_change const& step) {
        if (!step.changes) return {};
        auto const rights = entry_rights{frames_, step.part};
        if (auto const done = table_.protect(me, step.part.span, rights, flush()); !done)
            return done;
        layout_.protect(step.part);
        return {};
    }

    /// Empty tables go as well, if all they serve is in the range: PT_RECLAIM.
    constexpr result<void> drop_pages(cpu_type& me, page_span span, staying_marks marks = {}) {
        auto const large = format::levels > 1 && span.pages() >= entry_pages<format>(1);
        unmapped_pages<address_space> gone{*this, me, large ? empty_tables::go : empty_tables::stay,
                                           marks, span};
        return table_.unmap(me, span, gone, flush());
    }

    pool_type& frames_;
    reclaimer& domain_;
    MMHOLD_NO_UNIQUE_ADDRESS detail::attached<observer_type> observer_;
    MMHOLD_NO_UNIQUE_ADDRESS detail::attached<flush_type> flush_;
    swap_type* swap_{nullptr};
    std::pair<virt_addr, pfn> gate_{};
    lock_type lock_{};
    seq_count<machine> write_protect_seq_{};
    typename machine::template atomic<std::uint32_t> has_pinned_{};
    resident_set<machine> resident_{};
    layout<machine> layout_;  // guarded by lock_
    table_type table_;        // its root and its larger structure: guarded by lock_
};

static_assert(std::destructible<address_space<default_config<constexpr_machine>>>);

}  // namespace mmhold
