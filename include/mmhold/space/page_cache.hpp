// SPDX-License-Identifier: BSL-1.0
#pragma once

// page_cache – the pages of one object: a file, a memfd, shared anonymous memory. Whoever maps the
// object sees the same pages, and they stay when nobody does.
//
// Each page in the cache is a page_cache frame with one reference of the cache's; every page table
// entry that maps it has one more, and so has whoever grabbed it.
//
// Locks      mm lock → mappings lock → pages lock → page table lock → frame pool lock. The middle
//            two are the object's, and spin locks: nobody sleeps under them. Mappings lock: where
//            the object is mapped, and one change of size, hole or write-back at a time. Pages
//            lock: the size, and which page has which number.
// Fault      find(): a reference, so that the page stays a page → allocate, copy, whatever takes
//            long → while_cached(): under the pages lock, is this still the page, and in front of
//            the end? Only then the entry is installed (gup-semantics §6.2 #21).
// Truncate   mappings lock → the size is smaller: no fault gets past while_cached() any more →
//            clear entries, flush, in every space → page by page, under the pages lock: still
//            mapped? clear again → out of the cache, marked truncated → the cache's reference goes.
//            Who has grabbed a page keeps it, but it is nobody's page any more.
// Punch      the same without the size. Faults go on meanwhile, and may map what is about to go:
//            that is what the second look under the pages lock is for.
// Write-back dirty mark taken away → entries made clean and read-only, flushed → contents copied
//            out. In this order: who stores through an entry that is still writable is copied out;
//            who faults for a new one marks the page dirty after the entry is writable, so either
//            this write-protects that entry or the mark outlives it.
//
// Not given: that a pin is honoured by write-back. Who writes through a pin after the page was
// written back is not noticed; that is why long-term pins for writing are refused where it matters
// (§6.2 #22).

#include <mmhold/config.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/object_mappings.hpp>
#include <mmhold/space/page_index.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace mmhold {

/// Must the first write to a clean page be announced by a fault (a file system with page_mkwrite or
/// dirty accounting)?
enum class dirty_tracking : std::uint8_t { off, on };

/// How the descriptor was opened that a shared mapping is made with.
enum class descriptor_rights : std::uint8_t { read_only, read_write };

/// The host's brake on those who dirty pages faster than they are written back
/// (balance_dirty_pages).
template<Machine M>
class writer_brake {
public:
    writer_brake(writer_brake const&) = delete;
    writer_brake& operator=(writer_brake const&) = delete;

    /// `writer` has just made a page of a dirty-tracked object writable; may keep it asleep. The mm
    /// lock is held only if the fault could not give it up.
    virtual constexpr void balance(task<M>& writer) = 0;

protected:
    constexpr writer_brake() noexcept = default;
    constexpr ~writer_brake() = default;
};

/// Takes the contents of a page that is written back: its number, and its bytes – none, if the pool
/// has none.
template<class S>
concept PageSink = std::invocable<S&, std::uint64_t, std::span<std::byte const>>;

/// The pages of one object. `Space`: the type of the address spaces that map it; they share the
/// frame pool and the reclaimer's domain.
///
/// Any number of cpus at once. Functions that take a cpu must not be called with a page table lock
/// held; no function needs a mm lock, and none sleeps. A cpu belongs to the domain of the spaces.
template<class Space>
class page_cache : public mapped_object<Space> {
    using base = mapped_object<Space>;

public:
    using space_type = Space;
    using machine = typename Space::machine;
    using pool_type = typename Space::pool_type;
    using cpu_type = typename Space::cpu_type;
    using base::kind;

    /// An object of `bytes` bytes without pages. The frames come from `frames`, which outlives it.
    constexpr page_cache(pool_type& frames, object_kind of, std::uint64_t bytes,
                         dirty_tracking tracking = dirty_tracking::off,
                         object_owner owner = object_owner::host) noexcept
        : base{of, owner}, frames_{frames}, size_{bytes}, tracking_{tracking} {
        machine::name(&pages_lock_, "pages lock");
    }
    /// The pages go. Precondition: nobody maps it.
    constexpr ~page_cache() { drop_pages(page_range::from(0)); }

    [[nodiscard]] constexpr bool dirty_tracked() const noexcept {
        return tracking_ == dirty_tracking::on;
    }
    [[nodiscard]] constexpr pool_type& frames() const noexcept { return frames_; }
    /// The size in bytes now.
    [[nodiscard]] constexpr std::uint64_t size() noexcept {
        spin_guard<machine> const held{pages_lock_};
        return size_.get();
    }
    /// How many pages are cached now.
    [[nodiscard]] constexpr std::uint64_t cached_pages() noexcept {
        spin_guard<machine> const held{pages_lock_};
        return pages_.size();
    }

    /// Who slows writers down; nullptr: nobody. Set before the object is mapped.
    constexpr void set_brake(writer_brake<machine>* brake) noexcept { brake_ = brake; }
    [[nodiscard]] constexpr writer_brake<machine>* brake() const noexcept { return brake_; }

    // ---- mapping it -----------------------------------------------------------------------------

    /// The request that maps `count` pages from page `first` on; place and name are the caller's to
    /// fill in. `shared` without the right to write can never become writable (VM_MAYWRITE). Secret
    /// memory can only be mapped shared, and is locked.
    [[nodiscard]] constexpr mmap_request request(
        std::uint64_t first, page_count count, protection prot, mmap_flags flags,
        descriptor_rights rights = descriptor_rights::read_write) noexcept {
        auto const secret = kind() == object_kind::secret;
        auto const shared = secret || flags.has(mmap_flag::shared);
        mmap_request wanted;
        wanted.pages = count;
        wanted.prot = prot;
        wanted.flags = flags.with_if(secret, mmap_flag::shared);
        wanted.kind = kind() == object_kind::file ? vma_kind::file : vma_kind::shmem;
        auto const never_written = shared && rights == descriptor_rights::read_only;
        wanted.may = never_written ? prot::rx : prot::rwx;
        wanted.properties = vma_flags{}
                                .with_if(shared && dirty_tracked(), vma_flag::dirty_tracked)
                                .with_if(secret, vma_flags{vma_flag::secret, vma_flag::locked,
                                                           vma_flag::dont_dump});
        wanted.object = this;
        wanted.file_page = first;
        return wanted;
    }

    // ---- its pages ------------------------------------------------------------------------------

    /// The page with number `index`, with a reference for the caller. Errors: bad_address – behind
    /// the end; again – there is none yet; hardware_poison – its memory is broken.
    [[nodiscard]] constexpr result<pfn> find(std::uint64_t index) noexcept {
        spin_guard<machine> const held{pages_lock_};
        if (!in_front_of_end(index)) return errc::bad_address;
        auto const page = pages_.find(index);
        if (!page) return errc::again;
        if (is_broken(*page)) return errc::hardware_poison;
        get(*page);
        return *page;
    }
    /// Is it cached, or behind the end: has nobody to be asked for it?
    [[nodiscard]] constexpr bool needs_no_page(std::uint64_t index) noexcept {
        spin_guard<machine> const held{pages_lock_};
        return !in_front_of_end(index) || pages_.find(index).has_value();
    }

    /// Calls visit(index, page) for the cached pages among the `count` from `first` on, with a
    /// reference on each for the caller. visit() runs under the pages lock and only keeps them.
    template<class Visit>
    constexpr void find_each(std::uint64_t first, std::uint64_t count, Visit&& visit) noexcept {
        spin_guard<machine> const held{pages_lock_};
        for (auto index = first; index < first + count && in_front_of_end(index); ++index) {
            auto const page = pages_.find(index);
            if (!page || is_broken(*page)) continue;
            get(*page);
            visit(index, *page);
        }
    }

    /// A zeroed frame that add() will take. Its one reference is the caller's. Error: no_memory.
    [[nodiscard]] constexpr result<pfn> allocate(
        frame_mobility where = frame_mobility::movable) noexcept {
        auto const page = frames_.allocate(frame_kind::page_cache, 0, where);
        if (page && kind() == object_kind::shmem) {
            frames_.add_attributes(*page, frame_attribute::shmem);
        }
        if (page && kind() == object_kind::secret) {
            frames_.add_attributes(*page, frame_attribute::secret);
        }
        return page;
    }
    /// Puts `page`, from allocate(), into the cache; the caller's reference stays the caller's.
    /// Errors, and then nothing has changed: exists – there is one already; bad_address – behind
    /// the end; no_memory.
    constexpr result<void> add(std::uint64_t index, pfn page) {
        spin_guard<machine> const held{pages_lock_};
        if (!in_front_of_end(index)) return errc::bad_address;
        auto const added = pages_.insert(index, page);
        if (!added) return added;
        frames_.get(page);
        frames_.pass_reference(page);
        return {};
    }
    /// As find(), but where there is no page a zeroed one is put: what shared memory does. Errors:
    /// bad_address, no_memory, hardware_poison.
    [[nodiscard]] constexpr result<pfn> find_or_add_zeroed(std::uint64_t index) {
        for (;;) {
            auto const there = find(index);
            if (there || there.error() != errc::again) return there;
            auto const fresh = allocate();
            if (!fresh) return fresh;
            auto const added = add(index, *fresh);
            if (added) return fresh;
            frames_.put(*fresh);
            if (added.error() != errc::exists) return added.error();
        }
    }

    /// Calls use() -> result<void> with the pages lock held, if `page` is still the one with number
    /// `index`; use() may take page table locks. Errors: bad_address – behind the end; again – it
    /// is another page, or none; what use() answers.
    template<class Use>
    constexpr result<void> while_cached(std::uint64_t index, pfn page, Use&& use) {
        spin_guard<machine> const held{pages_lock_};
        if (!in_front_of_end(index)) return errc::bad_address;
        if (pages_.find(index) != page) return errc::again;
        return use();
    }
    /// The same for a page that is not the object's, but stands where one of its pages could.
    template<class Use>
    constexpr result<void> while_in_front_of_end(std::uint64_t index, Use&& use) {
        spin_guard<machine> const held{pages_lock_};
        return in_front_of_end(index) ? use() : result<void>{errc::bad_address};
    }

    // ---- operations -----------------------------------------------------------------------------

    /// ftruncate(2): the object has `bytes` bytes from now on. What was mapped behind the end is
    /// unmapped, private copies included; the cache lets go of the pages; the rest of the last one
    /// is zero, even if the size stays what it is. Error: no_memory – the cpu is not valid(); then
    /// nothing has changed.
    constexpr result<void> resize(cpu_type& me, std::uint64_t bytes) {
        if (!me.valid()) return errc::no_memory;
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        auto const before = set_size(bytes);
        auto const gone = page_range::from(pages_for(bytes));
        if (bytes > before) return {};
        take_away(me, gone, private_copies::go);
        spin_guard<machine> const held{pages_lock_};
        clear_behind_end();
        return {};
    }

    /// The object has at least `bytes` bytes from now on: what a write behind its end does.
    constexpr void extend(std::uint64_t bytes) noexcept {
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        spin_guard<machine> const held{pages_lock_};
        if (bytes > size_.get()) grow(bytes);
    }

    /// fallocate(2) with PUNCH_HOLE: the pages of `range` go; what is mapped finds zeroes – of a
    /// file, what is read in – at the next touch. Private copies stay. Error: no_memory, as above.
    constexpr result<void> punch(cpu_type& me, page_range range) {
        if (!me.valid()) return errc::no_memory;
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        take_away(me, range, private_copies::stay);
        return {};
    }

    /// The same for `count` bytes from byte `from` on: of a page that is hit in part, the part is
    /// zero then, if the page is cached. Errors: no_memory; invalid_argument – no bytes.
    constexpr result<void> punch(cpu_type& me, std::uint64_t from, std::uint64_t count) {
        if (count == 0 || from + count < from) return errc::invalid_argument;
        auto const end = from + count;
        page_range const whole{pages_for(from), end >> page_shift};
        if (auto const done = punch(me, whole); !done) return done;
        zero(from, std::min(end, whole.first << page_shift));
        zero(std::max(from, whole.last << page_shift), end);
        return {};
    }

    /// Moves the page with number `index` to another frame, one that may be pinned for ever if it
    /// is to be `fixed`; answers it. What has mapped the page finds the new one at the next touch
    /// (Linux puts the new one into the same entries). Errors, and then the page is where it was:
    /// busy – somebody holds it; again – there is none; bad_address – behind the end; no_memory;
    /// hardware_poison.
    constexpr result<pfn> migrate(cpu_type& me, std::uint64_t index,
                                  frame_mobility where = frame_mobility::movable) {
        if (!me.valid()) return errc::no_memory;
        auto const fresh = allocate(where);
        if (!fresh) return fresh;
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        auto const done = move_to(me, index, *fresh);
        frames_.put(done ? *done : *fresh);  // the old one, or the one that is not wanted
        if (!done) return done;
        return fresh;
    }

    /// The memory of page `index` is broken (memory_failure.hpp): its frame is hwpoison. A clean
    /// page of a file goes, and is read in again; what has mapped a dirty one, or shared memory,
    /// has a poisoned marker in its place. Shared memory keeps the page, so that nobody reads
    /// zeroes there. Errors: again – there is none; bad_address; no_memory.
    constexpr result<void> poison(cpu_type& me, std::uint64_t index) {
        if (!me.valid()) return errc::no_memory;
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        spin_guard<machine> const held{pages_lock_};
        if (!in_front_of_end(index)) return errc::bad_address;
        auto const page = pages_.find(index);
        if (!page) return errc::again;
        auto const of_file = kind() == object_kind::file;
        auto const clean = of_file && !frames_.dirty(*page);
        frames_.add_attributes(*page, frame_attribute::hwpoison);
        mappings_.replace(me, {index, index + 1}, clean ? page_entry{} : poisoned_entry());
        if (of_file) let_go({index, *page});
        return {};
    }

    /// Reclaim has taken the last entry away: page `index` goes, if nobody holds or maps it and
    /// nobody has written to it; the next who asks gets zeroes, as before.
    constexpr void forget_if_clean(std::uint64_t index) noexcept {
        spin_guard<machine> const held{pages_lock_};
        auto const page = pages_.find(index);
        if (!page || frames_.ref_count(*page) != 1) return;
        if (!frames_.dirty(*page)) let_go({index, *page});
    }

    /// fsync(2): hands the contents of every dirty page to `sink`, lowest first; the pages are
    /// clean and mapped read-only then, unless somebody writes to them again meanwhile. `sink` runs
    /// with the mappings lock held: it copies, and does not sleep. Answers how many pages there
    /// were. Error: no_memory, as above. Of use for dirty-tracked objects: of others, what is
    /// stored through an entry that was writable all along is not noticed.
    template<PageSink Sink>
    constexpr result<std::uint64_t> write_back(cpu_type& me, Sink&& sink) {
        if (!me.valid()) return errc::no_memory;
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        std::uint64_t written = 0;
        std::uint64_t from = 0;
        while (auto const page = take_dirty_from(from)) {
            mappings_.write_protect(me, {page->index, page->index + 1});
            sink(page->index, std::span<std::byte const>{frames_.bytes(page->page)});
            frames_.put(page->page);
            ++written;
            from = page->index + 1;
        }
        return written;
    }

protected:
    // The steps of the operations, and what they work on. Derived classes may put them together in
    // another way; the explorer's mutants do, and are found out.

    [[nodiscard]] static constexpr std::uint64_t pages_for(std::uint64_t bytes) noexcept {
        return (bytes >> page_shift) + std::uint64_t{(bytes & (page_size - 1)) != 0};
    }

    using found = typename page_index<machine>::found;

    [[nodiscard]] constexpr bool in_front_of_end(std::uint64_t index) const noexcept
        MMHOLD_REQUIRES(pages_lock_) {
        return index < pages_for(size_.get());
    }
    [[nodiscard]] constexpr bool is_broken(pfn page) const noexcept {
        return frames_.attributes(page).has(frame_attribute::hwpoison);
    }
    constexpr std::uint64_t set_size(std::uint64_t bytes) noexcept {
        spin_guard<machine> const held{pages_lock_};
        auto const before = size_.get();
        bytes > before ? grow(bytes) : size_.set(bytes);
        return before;
    }
    /// What has been stored behind the old end of a file, through a mapping of its last page, does
    /// not come to light; of shared memory it does. (Both measured on 6.18.)
    constexpr void grow(std::uint64_t bytes) noexcept MMHOLD_REQUIRES(pages_lock_) {
        if (kind() == object_kind::file) clear_behind_end();
        size_.set(bytes);
    }

    /// A reference for the caller, on the strength of the cache's.
    constexpr void get(pfn page) noexcept MMHOLD_REQUIRES(pages_lock_) {
        frames_.take_over_reference(page);
        frames_.get(page);
        frames_.pass_reference(page);
    }

    /// Truncate and punch: entries, then pages.
    constexpr void take_away(cpu_type& me, page_range range, private_copies copies)
        MMHOLD_REQUIRES(mappings_lock_) {
        mappings_.unmap(me, range, copies);
        auto from = range.first;
        while (auto const index = remove_one(me, {from, range.last}, copies)) from = *index + 1;
    }
    /// The lowest page of `range` leaves the cache; answers its number.
    constexpr std::optional<std::uint64_t> remove_one(cpu_type& me, page_range range,
                                                      private_copies copies)
        MMHOLD_REQUIRES(mappings_lock_) {
        spin_guard<machine> const held{pages_lock_};
        auto const page = pages_.find_from(range.first);
        if (!page || page->index >= range.last) return std::nullopt;
        // A fault may have mapped it since: none can while the pages lock is held.
        if (frames_.map_count(page->page) != 0) {
            mappings_.unmap(me, {page->index, page->index + 1}, copies);
        }
        let_go(*page);
        return page->index;
    }
    constexpr void let_go(found const& page) noexcept MMHOLD_REQUIRES(pages_lock_) {
        pages_.erase(page.index);
        frames_.take_over_reference(page.page);
        frames_.add_attributes(page.page, frame_attribute::truncated);
        (void)frames_.take_dirty(page.page);
        frames_.put(page.page);
    }
    /// `fresh` takes the place of page `index`; the cache has the caller's reference then. Answers
    /// the old one, with the cache's.
    constexpr result<pfn> move_to(cpu_type& me, std::uint64_t index, pfn fresh)
        MMHOLD_REQUIRES(mappings_lock_) {
        spin_guard<machine> const held{pages_lock_};
        if (!in_front_of_end(index)) return errc::bad_address;
        auto const old = pages_.find(index);
        if (!old) return errc::again;
        if (is_broken(*old)) return errc::hardware_poison;
        if (frames_.ref_count(*old) != frames_.map_count(*old) + 1) return errc::busy;
        mappings_.unmap(me, {index, index + 1}, private_copies::stay);
        frames_.take_over_reference(*old);
        if (!frames_.try_freeze(*old, 1)) {
            frames_.pass_reference(*old);
            return errc::busy;
        }
        copy_frame(frames_, *old, fresh);
        if (frames_.dirty(*old)) frames_.mark_dirty(fresh);
        if (frames_.accessed(*old)) frames_.mark_accessed(fresh);
        pages_.replace(index, fresh);
        frames_.pass_reference(fresh);
        frames_.unfreeze(*old, 1);
        return *old;
    }
    constexpr void drop_pages(page_range range) noexcept {
        spin_guard<machine> const held{pages_lock_};
        while (auto const page = pages_.find_from(range.first)) let_go(*page);
    }

    constexpr void clear_behind_end() noexcept MMHOLD_REQUIRES(pages_lock_) {
        auto const inside = size_.get() & (page_size - 1);
        if (inside != 0) clear(size_.get(), size_.get() - inside + page_size);
    }
    /// Bytes [from, to), which lie in one page, become zero if the page is there.
    constexpr void clear(std::uint64_t from, std::uint64_t to) noexcept
        MMHOLD_REQUIRES(pages_lock_) {
        auto const page = pages_.find(from >> page_shift);
        if (!page) return;
        auto const inside = from & (page_size - 1);
        zero_frames(frames_, *page, inside, inside + (to - from));
        frames_.mark_dirty(*page);
    }
    constexpr void zero(std::uint64_t from, std::uint64_t to) noexcept {
        if (from >= to) return;
        spin_guard<machine> const held{pages_lock_};
        clear(from, to);
    }

    /// The next dirty page, clean from now on, with a reference.
    constexpr std::optional<found> take_dirty_from(std::uint64_t from) noexcept {
        spin_guard<machine> const held{pages_lock_};
        while (auto const page = pages_.find_from(from)) {
            if (frames_.take_dirty(page->page)) {
                get(page->page);
                return page;
            }
            from = page->index + 1;
        }
        return std::nullopt;
    }

    using base::mappings_;
    using base::mappings_lock_;

    pool_type& frames_;
    spin_lock<machine> pages_lock_{};
    typename machine::template plain<std::uint64_t> size_ MMHOLD_GUARDED_BY(pages_lock_);
    page_index<machine> pages_ MMHOLD_GUARDED_BY(pages_lock_){};

private:
    dirty_tracking tracking_;
    writer_brake<machine>* brake_{nullptr};
};

}  // namespace mmhold
