// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of page_cache, file_object and file_backed: faults, gup and the lockless walk against truncation,
// hole punching, write-back and munmap (gup-semantics §6.2 #21, #22). Page tables have four entries, the mm lock
// is its specification (pair_world.hpp). What must hold in every execution: no entry maps a page that its object
// has let go of; who got a page got one that was the object's; what is not written back is known to be dirty; a
// page is read once; nothing is left in the end.

#include "gup_scenarios.hpp"
#include "pair_world.hpp"

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/fault/file_backed.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/page_cache.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mmhold_test {

using namespace mmhold;

/// A TLB as a lock: a store is one look at the entry and one write, and a flush waits until nobody is in between.
struct store_gate {
    spin_lock<model_machine>* gate{nullptr};
    void operator()(page_span) noexcept {
        if (gate != nullptr) spin_guard<model_machine> const nobody_stores{*gate};
    }
};

/// The usual parts, small.
struct file_config {
    using machine = model_machine;
    using format = x86_64_radix<2, 2>;
    using lock = plain_mm_lock;
    using reclaimer = hazard_domain<model_machine, 1>;
    using tables = host_tables<format, reclaimer>;
    using observer = null_observer;
    using flush = store_gate;
};
using file_space = address_space<file_config>;
using file_cache = page_cache<file_space>;
using small_file = file_object<file_space>;

/// One process that maps one page of an object at address 0, and two cpus. `Object`: file_cache, small_file, or
/// a mutant of theirs.
template<class Object>
struct file_world {
    using M = model_machine;
    using space_type = file_space;
    using cpu_type = space_type::cpu_type;
    using outcome = fault_outcome<plain_mm_lock, M>;
    static constexpr std::uint64_t all_frames = 4;
    static constexpr virt_addr place{};

    frame_pool<M> frames{page_count{all_frames}, frame_bytes::none, pfn{16}, pin_statistics::off};
    file_config::tables tables{page_count{4}};
    file_config::reclaimer domain{};
    store_gate flush{};
    null_observer nobody{};
    space_type space{frames, tables, domain, nobody, flush};
    cpu_type first{domain};
    cpu_type second{domain};
    Object object;

    template<class... Arguments>
    explicit file_world(mmap_flags how, Arguments... arguments) : object{frames, arguments...} {
        M::name(&space, "space");
        auto request = object.request(0, page_count{1}, prot::rw, how);
        request.flags = request.flags.with(mmap_flag::fixed);
        (void)space.mmap(first, request);
    }
    file_world(file_world const&) = delete;
    file_world& operator=(file_world const&) = delete;
    ~file_world() = default;

    static page_span one_page() { return *page_span::from(place, page_count{1}); }

    /// One fault with the lock taken and, if it is still there, given back.
    outcome fault(cpu_type& me, fault_flags flags) {
        auto held = held_shared<plain_mm_lock>::acquire(space.lock());
        auto authority = lock_authority<plain_mm_lock>::may_drop(may_drop(held));
        return dispatch<file_space>{space}.handle({place, flags}, authority, me);
    }
    /// What the page tables say now. Not a step.
    page_entry entry() const {
        if (!space.valid()) return {};
        auto table = space.table().root();
        for (unsigned level = file_config::format::levels; level-- > 0;) {
            if (!tables.lives(table)) return {};
            auto const found = file_config::format::decode(
                space.table().read_entry(table, file_config::format::index(place, level)), level);
            if (!found.is_table()) return found;
            table = found.target;
        }
        return {};
    }
    void always() {
        auto const now = entry();
        if (!now.is_leaf() || now.special) return;
        M::expect(!frames.attributes(now.target).has(frame_attribute::truncated),
                  "a page is mapped that its object has let go of");
        M::expect(frames.kind(now.target) != frame_kind::free, "a free page is mapped");
    }
    void finish() {
        space.exit(first);
        (void)object.resize(first, 0);
        M::expect(frames.statistics().free == all_frames, "a frame is still held when all is over");
    }
};

/// Which order a truncation, a hole punching or a write-back keeps.
enum class cache_bug : std::uint8_t {
    none,
    pages_before_mappings,       ///< the cache lets go first, then entries are cleared
    no_second_look,              ///< what faults have mapped meanwhile is not cleared
    protected_before_marked,     ///< write-back makes entries read-only before it takes the mark
    not_protected,               ///< write-back leaves the entries writable
};

/// A page cache with a defence taken away.
template<cache_bug Bug>
class careless_cache : public file_cache {
public:
    using file_cache::file_cache;

    result<void> resize(cpu_type& me, std::uint64_t bytes) {
        if constexpr (Bug != cache_bug::pages_before_mappings) return file_cache::resize(me, bytes);
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        (void)set_size(bytes);
        drop_pages(page_range::from(pages_for(bytes)));
        mappings_.unmap(me, page_range::from(pages_for(bytes)), private_copies::go);
        return {};
    }
    result<void> punch(cpu_type& me, page_range range) {
        if constexpr (Bug != cache_bug::no_second_look) return file_cache::punch(me, range);
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        mappings_.unmap(me, range, private_copies::stay);
        drop_pages(range);
        return {};
    }
    template<class Sink>
    result<std::uint64_t> write_back(cpu_type& me, Sink&& sink) {
        if constexpr (Bug == cache_bug::none) return file_cache::write_back(me, sink);
        spin_guard<machine> const one_at_a_time{mappings_lock_};
        if constexpr (Bug == cache_bug::protected_before_marked) mappings_.write_protect(me, {0, 1});
        auto const page = take_dirty_from(0);
        if (!page) return std::uint64_t{0};
        sink(page->index, std::span<std::byte const>{});
        frames_.put(page->page);
        return std::uint64_t{1};
    }
};

/// Does a fault look, at the last moment, whether the page is still the object's?
enum class last_look : std::uint8_t { taken, omitted };

/// A fault against a truncation to nothing (§6.2 #21): it maps the page, which then goes, or it is too late.
template<mmap_flag... How>
struct shows_shmem : file_world<file_cache> {
    shows_shmem() : file_world{mmap_flags{How...}, object_kind::shmem, page_size} {}
};
template<class World, bool Write, last_look Look = last_look::taken>
struct fault_against_truncate : World {
    using typename World::M;
    static constexpr int actors = 2;

    fault_against_truncate() {
        // The page is there already, so that this is about mapping it.
        if (auto const page = this->object.find_or_add_zeroed(0)) this->frames.put(*page);
    }
    void actor(int who) {
        if (who == 1) return (void)this->object.resize(this->second, 0);
        auto const flags = fault_flags{}.with_if(Write, fault_flag::write);
        if constexpr (Look == last_look::omitted) return fault_blindly();
        auto const done = this->fault(this->first, flags);
        M::expect(done.error() == errc::ok || done.error() == errc::bad_address,
                  "mapped, or behind the end");
    }
    void fault_blindly() {
        auto const held = held_shared<plain_mm_lock>::acquire(this->space.lock());
        auto const area = this->space.find(this->place, held);
        auto const page = this->object.find(0);
        if (!page) return;
        auto const leaf = leaf_for(area->view(held), *page, install_for::reading);
        (void)install_page(this->space, this->first, this->place, leaf);
    }
    void finish() {
        M::expect(this->entry().none(), "a page is mapped behind the end");
        World::finish();
    }
};

/// An object with one page, present and mapped writable, in a shared mapping.
template<class Object>
struct mapped_world : file_world<Object> {
    pfn page{};
    std::uint32_t first_life{0};

    explicit mapped_world(object_kind kind, dirty_tracking tracking = dirty_tracking::off)
        : file_world<Object>{mmap_flag::shared, kind, page_size, tracking} {
        page = *this->object.find_or_add_zeroed(0);
        first_life = this->frames.generation(page);
        auto leaf = page_entry::leaf_to(page, prot::rw);
        leaf.writable = tracking == dirty_tracking::off;
        (void)install_page(this->space, this->first, this->place, leaf);
    }
};

/// gup_fast against a truncation, and the page's next life: what it has taken stays the page that it was, but is
/// nobody's. `Walker` may be one that does not look at the entry again.
template<template<class> class Walker, cache_bug Bug = cache_bug::none>
struct fast_against_truncate : mapped_world<careless_cache<Bug>> {
    using base = mapped_world<careless_cache<Bug>>;
    using typename base::M;
    static constexpr int actors = 2;
    bool taken{false};

    fast_against_truncate() : base{object_kind::shmem} {}
    void actor(int who) { who == 0 ? take() : cut_off(); }
    void take() {
        Walker<file_space> walker{this->space};
        std::array<pfn, 1> out{};
        fast_operation op{walker, gup_call{this->one_page(), gup_flag::write, holding::reference, out,
                                           lock_entry::own}};
        {
            irq_section inside{this->first};
            op.run(inside);
        }
        taken = op.finish() == 1;
        if (!taken) return;
        M::expect(this->frames.generation(out[0]) == this->first_life, "what is held is in its first life");
        M::expect(this->frames.kind(out[0]) == frame_kind::page_cache, "what is held is the object's page");
        this->frames.put(out[0]);
    }
    void cut_off() {
        (void)this->object.resize(this->second, 0);
        if (auto const next = this->frames.allocate(frame_kind::other)) this->frames.put(*next);
    }
};
template<class Space>
using plain_walker = lockless_walker<Space>;
template<class Space>
using leaf_blind_walker = blind_walker<Space, blind::to_the_leaf>;

/// A fault against a hole punched into the object: it maps the old page, which goes, or a new one, which stays.
template<cache_bug Bug = cache_bug::none>
struct fault_against_punch : file_world<careless_cache<Bug>> {
    using base = file_world<careless_cache<Bug>>;
    static constexpr int actors = 2;

    fault_against_punch() : base{mmap_flag::shared, object_kind::shmem, page_size} {
        if (auto const page = this->object.find_or_add_zeroed(0)) this->frames.put(*page);
    }
    void actor(int who) {
        if (who == 0) return (void)this->fault(this->first, fault_flag::write);
        (void)this->object.punch(this->second, {0, 1});
    }
};

/// A store, with the fault it needs, against a write-back: whatever is not on the disk is known to be dirty.
template<cache_bug Bug = cache_bug::none>
struct store_against_write_back : mapped_world<careless_cache<Bug>> {
    using base = mapped_world<careless_cache<Bug>>;
    using typename base::M;
    static constexpr int actors = 2;
    spin_lock<M> gate{};
    M::template plain<int> memory{0};
    int disk{0};

    store_against_write_back() : base{object_kind::file, dirty_tracking::on} {
        M::name(&gate, "store");
        this->flush.gate = &gate;
        (void)this->fault(this->first, fault_flag::write);
        (void)store(1);
    }
    void actor(int who) {
        if (who == 1) return write_back();
        while (!store(2)) (void)this->fault(this->first, fault_flag::write);
    }
    /// What the hardware does: with a translation in the TLB, which a flush waits for. False: it must fault.
    bool store(int value) {
        spin_guard<M> const translated{gate};
        auto const now = this->entry();
        if (!now.present() || !now.writable) return false;
        memory.set(value);
        return true;
    }
    void write_back() {
        (void)this->object.write_back(this->second, [&](std::uint64_t, std::span<std::byte const>) {
            spin_guard<M> const copying{gate};
            disk = memory.get();
        });
    }
    void finish() {
        auto const known = this->frames.dirty(this->page);
        M::expect(disk == memory.get() || known, "what was stored is neither on the disk nor known to be dirty");
        M::expect(!this->entry().writable || known, "a clean page is mapped writable");
        base::finish();
    }
};

/// Does who asks for a page look, under the line's lock, whether it has come meanwhile?
enum class arrival : std::uint8_t { looked_for, ignored };

/// A file whose askers may be careless.
template<arrival How>
class asked_file : public small_file {
public:
    using small_file::small_file;
    page_reads<model_machine> careless{};

    std::uint64_t reads() { return How == arrival::looked_for ? reads_started() : careless.started(); }
};

/// Two need one page; the first is also the disk, the second is killed before the page comes, or after. It is read
/// once (§2.1 item 1).
template<arrival How = arrival::looked_for>
struct two_need_one_page : file_world<asked_file<How>> {
    using base = file_world<asked_file<How>>;
    using typename base::M;
    static constexpr int actors = 2;

    two_need_one_page() : base{mmap_flags{}, page_size} {}
    void actor(int who) {
        if constexpr (How == arrival::ignored) return need_blindly(who);
        auto const mine = this->object.ask((who == 0 ? this->first : this->second).current(), 0);
        M::expect(mine.has_value(), "there is memory to ask with");
        if (who == 1) return;
        if (auto const read = this->object.try_next_read()) {
            (void)this->object.complete(*read, [](std::uint64_t, auto) {});
        }
    }
    void need_blindly(int who) {
        if (this->object.needs_no_page(0)) return;
        auto const mine = this->object.careless.ask((who == 0 ? this->first : this->second).current(), 0, 0,
                                                    [] { return false; });
        if (who == 1 || !mine) return;
        auto const read = this->object.careless.try_next();
        auto const page = this->object.allocate();
        if (page) (void)this->object.add(0, *page);
        if (page) this->frames.put(*page);
        if (read) (void)this->object.careless.finish(*read, errc::ok);
    }
    void finish() {
        M::expect(this->object.reads() == 1, "one page was read more than once");
        base::finish();
    }
};

/// A fault and the disk: it is told to come back once, and then finds the page. (§2.1 item 2)
struct fault_against_disk : file_world<small_file> {
    static constexpr int actors = 2;
    fault_against_disk() : file_world{mmap_flags{}, page_size} {}
    void actor(int who) {
        if (who == 1) {
            auto const read = object.next_read(second.current(), wait_mode::uninterruptible);
            return (void)object.complete(*read, [](std::uint64_t, auto) {});
        }
        constexpr fault_flags may_retry{fault_flag::allow_retry, fault_flag::killable};
        auto done = fault(first, may_retry);
        M::expect(done.kind() == fault_kind::retry_lock_dropped, "the page is not there yet");
        done.take_ticket().wait(wait_mode::uninterruptible);
        auto const again = fault(first, may_retry.with(fault_flag::tried));
        M::expect(again.kind() == fault_kind::installed, "reading in forces one RETRY");
    }
};

/// Who waits for the disk: with the mm lock given up, or in place.
enum class waits : std::uint8_t { without_the_lock, with_the_lock };

/// gup waits for a page of a file; munmap comes before the disk answers. Waiting with the lock held is a deadlock,
/// because here nobody else is the disk.
template<waits How = waits::without_the_lock>
struct gup_against_munmap : file_world<small_file> {
    static constexpr int actors = 2;
    gup_against_munmap() : file_world{mmap_flag::shared, page_size, dirty_tracking::off} {}
    void actor(int who) {
        if (who == 0) return hold();
        (void)space.munmap(second, one_page());
        while (auto const read = object.try_next_read()) {
            (void)object.complete(*read, [](std::uint64_t, auto) {});
        }
        object.close();
    }
    void hold() {
        std::array<pfn, 1> out{};
        auto const got = take(out);
        M::expect(got.pages == 1 || got.error == errc::bad_address, "a page, or there is none any more");
        if (got.pages == 1) frames.unpin(out[0]);
    }
    gup_result take(std::array<pfn, 1>& out) {
        if constexpr (How == waits::without_the_lock) return pin_unlocked(space, first, one_page(), {}, out);
        auto const held = held_shared<plain_mm_lock>::acquire(space.lock());
        return pin(space, first, held, one_page(), {}, out);
    }
};

inline void add_file_scenarios(scenario_book& book) {
    using private_page = shows_shmem<>;
    using shared_page = shows_shmem<mmap_flag::shared>;
    book.add<fault_against_truncate<shared_page, false>>("file.fault_against_truncate",
                                                         "a fault of a shared page against truncation");
    book.add<fault_against_truncate<private_page, true>>(
        "file.copy_against_truncate", "a first write of a private page against truncation");
    book.add_mutant<fault_against_truncate<shared_page, false, last_look::omitted>>(
        "file.fault_against_truncate", "not_looked_at_again",
        "maps the page without looking whether it is still the object's");
    book.add<fast_against_truncate<plain_walker>>("file.fast_against_truncate",
                                                  "gup_fast against truncation and the page's next life",
                                                  reach::tso_only);
    book.add_mutant<fast_against_truncate<leaf_blind_walker>>(
        "file.fast_against_truncate", "leaf_not_rechecked", "takes the page on its first look");
    book.add_mutant<fast_against_truncate<plain_walker, cache_bug::pages_before_mappings>>(
        "file.fast_against_truncate", "pages_before_mappings", "the cache lets go of a page that is mapped");
    book.add<fault_against_punch<>>("file.fault_against_punch", "a fault against a hole being punched");
    book.add_mutant<fault_against_punch<cache_bug::no_second_look>>(
        "file.fault_against_punch", "no_second_look", "what was mapped meanwhile stays mapped");
    book.add<store_against_write_back<>>("file.store_against_write_back",
                                         "a store, with its fault, against write-back");
    book.add_mutant<store_against_write_back<cache_bug::protected_before_marked>>(
        "file.store_against_write_back", "protected_before_marked",
        "entries become read-only before the dirty mark is taken");
    book.add_mutant<store_against_write_back<cache_bug::not_protected>>(
        "file.store_against_write_back", "not_protected", "entries stay writable");
    book.add<fault_against_disk>("file.fault_against_disk", "a fault waits for the disk once",
                                 reach::tso_only);
    book.add<two_need_one_page<>>("file.two_need_one_page", "two need one page, it is read once",
                                  reach::tso_only);
    book.add_mutant<two_need_one_page<arrival::ignored>>(
        "file.two_need_one_page", "arrival_ignored", "asks without looking whether the page has come");
    book.add<gup_against_munmap<>>("file.gup_against_munmap", "gup waits for the disk, munmap does not",
                                   reach::tso_only);
    book.add_mutant<gup_against_munmap<waits::with_the_lock>>(
        "file.gup_against_munmap", "waits_with_the_lock", "waits for the disk with the mm lock held");
}

}  // namespace mmhold_test
