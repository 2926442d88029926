// SPDX-License-Identifier: BSL-1.0
#pragma once

// The world in which pair_scenarios.hpp lets a taker (gup, a fault) meet a meddler (munmap,
// collapse …): a real address_space with tables of four entries and eight frames, and beside it a
// record that no code of the library can see: what was mapped where while a call was on its way,
// what a TLB still knows, who gave the mm lock up. The record is written between steps, so it adds
// no step and no order.
//
// A page that a call returns must have been mapped at its address, with the wanted right, at some
// moment between call and return (gup-semantics §11.2 a). The record sees one order of steps that
// do not depend on each other; an order in which the meddler had finished before the call began is
// seen where the search goes through it, and whatever is found is an execution that can happen.

#include <mmhold/explore/model_machine.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/advise_large.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/guard.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold_test {

using namespace mmhold;

/// The mm lock as its specification, one step for most of what it does: no line, no sleep. The
/// scenarios of three actors use it, so that they are not about the line of rw_lock, which has
/// scenarios of its own.
class plain_mm_lock {
public:
    using M = model_machine;
    plain_mm_lock() { M::name(this, "mm lock"); }

    bool try_lock_shared() noexcept {
        auto now = word_.load(relaxed);
        while ((now & writer) == 0) {
            if (word_.compare_exchange(now, now + reader, acquire("plain_lock.try_shared")))
                return taken();
        }
        return false;
    }
    /// Counts itself in, then waits for the writer, if one was faster; the next writer waits for
    /// both.
    void lock_shared() noexcept {
        auto const before = word_.fetch_add(reader, acquire("plain_lock.shared"));
        if ((before & writer) != 0) {
            (void)M::poll(
                word_, [](std::uint32_t w) { return (w & writer) == 0; },
                acquire("plain_lock.wait_shared"));
        }
        (void)taken();
    }
    bool try_lock() noexcept {
        std::uint32_t nobody = 0;
        if (!word_.compare_exchange(nobody, writer, acquire("plain_lock.try_exclusive")))
            return false;
        M::lock_taken(this, lock_mode::exclusive);
        return true;
    }
    void lock() noexcept {
        while (!try_lock()) {
            (void)M::poll(
                word_, [](std::uint32_t w) { return w == 0; }, relaxed);
        }
    }
    void unlock_shared() noexcept {
        M::lock_given(this, lock_mode::shared);
        (void)word_.fetch_sub(reader, release("plain_lock.unlock_shared"));
    }
    void unlock() noexcept {
        M::lock_given(this, lock_mode::exclusive);
        (void)word_.fetch_sub(writer, release("plain_lock.unlock"));
    }

protected:
    static constexpr std::uint32_t writer = 1;
    static constexpr std::uint32_t reader = 2;
    M::atomic<std::uint32_t> word_{0};

private:
    bool taken() noexcept {
        M::lock_taken(this, lock_mode::shared);
        return true;
    }
};
static_assert(BlockingMmLock<plain_mm_lock>);

/// An mm lock where nobody waits for anybody: everybody only ever holds it shared, or one actor alone
/// holds it at all.
struct idle_mm_lock {
    using machine = model_machine;
    bool try_lock_shared() noexcept { return true; }
    void lock_shared() noexcept {}
    void unlock_shared() noexcept {}
    bool try_lock() noexcept { return true; }
    void lock() noexcept {}
    void unlock() noexcept {}
};

/// A lock that notes whether one actor, while it is watched, has given a shared hold up.
template<class L>
class watched_lock : public L {
public:
    /// The caller is watched from now on.
    void watch_me() {
        watched_ = model_machine::actor();
        given_ = false;
    }
    bool was_given() const { return given_; }

    void unlock_shared() noexcept {
        if (model_machine::actor() == watched_) given_ = true;
        L::unlock_shared();
    }

private:
    int watched_{-1};
    bool given_{false};
};

/// The translation that some cpu still has in its TLB: of the first page, as it was in the
/// beginning.
struct tiny_tlb {
    struct translation {
        pfn frame{};
        std::uint32_t life{0};
        bool writable{false};
    };
    std::optional<translation> cached{};
    /// Every cpu forgets, before this returns.
    void operator()(page_span span) noexcept {
        if (span.contains(virt_addr{})) cached.reset();
    }
};

/// The usual parts. Mutants derive from it and exchange one.
template<class L = rw_lock<model_machine>, class Domain = hazard_domain<model_machine, 1>>
struct pair_config {
    using machine = typename Domain::machine;
    using format = x86_64_radix<2, 2>;
    using lock = watched_lock<L>;
    using reclaimer = Domain;
    using tables = host_tables<format, reclaimer>;
    using observer = null_observer;
    using flush = tiny_tlb;
    using pool = frame_pool<machine>;
    static constexpr auto bytes = frame_bytes::none;
};

/// What is there in the beginning: a mapping of so many pages from address 0, and what of it is
/// present.
struct beginning {
    enum class present : std::uint8_t {
        nothing,
        large_advised,  ///< nothing, but faults may map large folios
        guard,          ///< a guard at the first page
        table,
        page,
        folio,
        read_only_folio,
    };
    std::uint64_t pages{1};
    present what{present::page};
    std::uint64_t neighbour{0};  ///< also present, if it is not 0

    friend constexpr bool operator==(beginning const&, beginning const&) = default;
};

/// A frame in one life, as a page table maps it.
struct sighting {
    pfn frame{};
    std::uint32_t life{0};
    bool writable{false};
    bool exclusive{false};
    friend constexpr bool operator==(sighting const&, sighting const&) = default;
};

/// What was mapped at up to two pages while a call was on its way.
class call_record {
public:
    static constexpr std::size_t most_pages = 2;
    void begin() {
        open_ = true;
        for (auto& page : seen_) page = {};
    }
    void end() { open_ = false; }
    bool open() const { return open_; }
    void note(std::size_t page, sighting const& now) {
        auto& list = seen_[page];
        for (std::size_t i = 0; i < list.used; ++i) {
            if (list.all[i] == now) return;
        }
        if (list.used < list.all.size()) list.all[list.used++] = now;
    }
    /// Was `frame`, in this life, mapped writable at `page` at some moment?
    bool saw_writable(std::size_t page, pfn frame, std::uint32_t life) const {
        auto const& list = seen_[page];
        for (std::size_t i = 0; i < list.used; ++i) {
            auto const& s = list.all[i];
            if (s.frame == frame && s.life == life && s.writable) return true;
        }
        return false;
    }

private:
    struct sightings {
        std::array<sighting, 8> all{};
        std::size_t used{0};
    };
    bool open_{false};
    std::array<sightings, most_pages> seen_{};
};

/// One process, three cpus, and the record.
template<class Config>
class pair_world {
public:
    using M = model_machine;
    using config = Config;
    using space_type = address_space<Config>;
    using cpu_type = typename space_type::cpu_type;
    using lock_type = typename space_type::lock_type;
    using format = typename Config::format;

    static constexpr std::uint64_t all_frames = 8;
    static constexpr virt_addr place{};

    typename Config::pool frames{page_count{all_frames}, Config::bytes, pfn{16},
                                 pin_statistics::off};
    typename Config::tables tables{page_count{5}};
    typename Config::reclaimer domain{};
    typename Config::flush tlb{};
    null_observer nobody{};
    space_type space{frames, tables, domain, nobody, tlb};
    cpu_type first{domain};
    cpu_type second{domain};
    cpu_type third{domain};
    std::array<call_record, 2> records{};  ///< one for each taker
    std::optional<sighting> original{};    ///< what the first page was in the beginning
    std::array<M::plain<int>, all_frames> contents{};

    explicit pair_world(beginning const& start) { arrange(start); }
    pair_world(pair_world const&) = delete;
    pair_world& operator=(pair_world const&) = delete;
    ~pair_world() = default;

    static page_span pages(std::uint64_t count) {
        return *page_span::from(place, page_count{count});
    }
    static mmap_request fixed(std::uint64_t count, protection prot = prot::rw) {
        return {.hint = place, .pages = page_count{count}, .prot = prot, .flags = mmap_flag::fixed};
    }

    /// What the page tables say about page `n` now. Not a step: only for the record and the end.
    std::optional<sighting> translate(std::uint64_t n) const {
        if (!space.valid()) return std::nullopt;
        auto const at = place.plus(n * page_size);
        auto table = space.table().root();
        for (unsigned level = format::levels; level-- > 0;) {
            if (!tables.lives(table)) return std::nullopt;  // the end has come for the root
            auto const entry =
                format::decode(space.table().read_entry(table, format::index(at, level)), level);
            if (entry.is_leaf()) return seen_as(entry, at, level);
            if (!entry.is_table()) return std::nullopt;
            table = entry.target;
        }
        return std::nullopt;
    }

    /// Between two steps: the record is kept, and no TLB knows a page that is gone.
    void observe() {
        for (auto& record : records) {
            if (!record.open()) continue;
            for (std::size_t n = 0; n < call_record::most_pages; ++n) {
                if (auto const now = translate(n)) record.note(n, *now);
            }
        }
        if (tlb.cached) {
            M::expect(frames.generation(tlb.cached->frame) == tlb.cached->life,
                      "a TLB knows a page that was freed");
        }
    }

    /// The holder of `frame` writes to it and finds what it has written, unless it was mistaken.
    void use(pfn frame) {
        auto& page = contents[frame.value - 16];
        page.set(page.get() + 1);
    }
    /// Somebody else needs a page, of which one was perhaps freed a moment ago.
    void live_again() {
        auto const page = frames.allocate(frame_kind::other);
        if (!page) return;
        contents[page->value - 16].set(-1000);
        frames.put(*page);
    }

    /// When everybody is done: what is mapped is permitted by a vma; then the process ends, and
    /// nothing is left.
    void end() {
        if (space.valid()) {
            for (std::uint64_t n = 0; n < 7; ++n) check_permission(n);
        }
        space.exit(first);
        M::expect(frames.statistics().free == all_frames, "a frame is still held when all is over");
    }

private:
    std::optional<sighting> seen_as(page_entry const& entry, virt_addr at, unsigned level) const {
        if (!entry.present()) return std::nullopt;
        auto const inside = (at.value - entry_start<format>(at, level).value) >> page_shift;
        auto const frame = entry.target.plus(inside);
        if (!frames.contains(frame)) return sighting{frame, 0, entry.writable, false};
        return sighting{frame, frames.generation(frame), entry.writable, frames.exclusive(frame)};
    }

    void check_permission(std::uint64_t n) {
        auto const now = translate(n);
        if (!now) return;
        auto const held = held_shared<lock_type>::acquire(space.lock());
        auto const area = space.find(place.plus(n * page_size), held);
        M::expect(area.has_value(), "a page is mapped where there is no mapping");
        auto const may_write = area && area->view(held).prot.has(protection_bit::write);
        M::expect(!now->writable || may_write, "a page is writable where the mapping is not");
    }

    // By a cpu of its own: what a cpu has walked to before stays named in its slots, and would hide
    // a bug.
    void arrange(beginning const& start) {
        cpu_type boot{domain};
        using enum beginning::present;
        if (start.pages == 0) return;
        (void)space.mmap(boot, fixed(start.pages));
        switch (start.what) {
            case nothing: break;
            case large_advised:
                (void)advise_large_folios(boot, space, pages(start.pages), advise_large::wanted);
                break;
            case guard: (void)guard_install(boot, space, pages(1)); break;
            case table: (void)space.table().lock_leaf(boot, place, 0, if_absent::create); break;
            case page: put_page(boot, 0); break;
            case folio: put_folio(boot, leaf); break;
            case read_only_folio: put_folio(boot, read_only_leaf); break;
        }
        if (start.neighbour != 0) put_page(boot, start.neighbour);
        original = translate(0);
        if (original) tlb.cached = {original->frame, original->life, original->writable};
    }
    void put_page(cpu_type& boot, std::uint64_t n) {
        auto const page = frames.allocate(frame_kind::anonymous);
        frames.set_exclusive(*page);
        space.note_own_pages(place);
        (void)install_page(space, boot, place.plus(n * page_size), leaf(*page));
    }
    void put_folio(cpu_type& boot, page_entry (*entry_for)(pfn)) {
        auto const head = frames.allocate(frame_kind::anonymous, 2);
        frames.get(*head, 3);
        space.note_own_pages(place);
        for (std::uint64_t n = 0; n < 4; ++n) frames.set_exclusive(head->plus(n));
        (void)space.table().map(boot, place, entry_for(*head), 1);
        space.note_mapped(entry_for(*head), 4);
    }
    static page_entry leaf(pfn page) {
        auto entry = page_entry::leaf_to(page, prot::rw);
        entry.accessed = entry.dirty = entry.soft_dirty = true;
        return entry;
    }
    static page_entry read_only_leaf(pfn page) {
        auto entry = leaf(page);
        entry.writable = false;
        return entry;
    }
};

}  // namespace mmhold_test
