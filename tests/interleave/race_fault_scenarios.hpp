// SPDX-License-Identifier: BSL-1.0
#pragma once

// The classical races (gup-semantics §6.2) around faults, retries and the mm lock: 11, 14 – 20, 27,
// 28, 30. They run on real address spaces whose tables have four entries.

#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/fault/userfault_queue.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/migrate.hpp>
#include <mmhold/walk/locked_walker.hpp>

#include "gup_scenarios.hpp"
#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace mmhold_test {

using namespace mmhold;

/// The usual parts on tables of four entries.
struct tiny_config : default_config<model_machine> {
    using format = x86_64_radix<2, 2>;
    using reclaimer = patient_domain;
    using tables = host_tables<format, reclaimer>;
};

/// An mm lock for scenarios in which everybody only ever holds it shared: two shared holds do not
/// meet, so there is nothing to search.
struct shared_only_lock {
    using machine = model_machine;
    bool try_lock_shared() { return true; }
    void lock_shared() {}
    void unlock_shared() {}
    bool try_lock() { return true; }
    void lock() {}
    void unlock() {}
};
struct shared_only_config : tiny_config {
    using lock = shared_only_lock;
};

/// A process with a mapping of two pages and two cpus. Its table of the lowest level is there.
template<class Config = tiny_config>
struct tiny_process {
    using M = model_machine;
    using space_type = address_space<Config>;
    using lock_type = typename Config::lock;
    using cpu_type = typename space_type::cpu_type;
    static constexpr virt_addr start{page_size};

    explicit tiny_process(protection rights) {
        M::name(&space, "space");
        (void)space.mmap(
            first,
            {.hint = start, .pages = page_count{2}, .prot = rights, .flags = mmap_flag::fixed});
    }
    tiny_process() : tiny_process{prot::rw} {}
    static page_span span_of(std::uint64_t page, std::uint64_t count = 1) {
        return *page_span::from(start.plus_pages(page), page_count{count});
    }
    static layout_limits limits() {
        auto limits = layout_limits::of(Config::format::virtual_bits);
        limits.lowest = start;
        return limits;
    }
    /// Puts a fresh page in place, as a write fault does.
    pfn touch(std::uint64_t page) {
        auto const held = held_shared<lock_type>::acquire(space.lock());
        auto const area = space.find(start.plus_pages(page), held);
        auto const fresh = *allocate_page_for(space, area->view(held));
        (void)install_page(space, first, start.plus_pages(page),
                           leaf_for(area->view(held), fresh, install_for::writing));
        return fresh;
    }
    /// MADV_DONTNEED of one page, as seen by others who hold the mm lock shared: two shared holds do
    /// not meet, so this one is left out.
    void discard(std::uint64_t page) {
        auto entry = space.table().lock_leaf(second, start.plus_pages(page), 0, if_absent::fail);
        if (!entry || !entry->read().is_leaf()) return;
        auto const gone = entry->clear();
        auto const counted = space.note_unmapped(gone, 1);
        entry->unlock();
        if (counted) frames.put(gone.target);
    }
    page_entry entry_at(std::uint64_t page) {
        auto const entry =
            space.table().lock_leaf(first, start.plus_pages(page), 0, if_absent::fail);
        return entry ? entry->read() : page_entry{};
    }

    static inline null_observer nobody{};
    typename Config::flush flush{};
    frame_pool<M> frames{page_count{4}, frame_bytes::none, pfn{16}, pin_statistics::off};
    typename Config::tables tables{page_count{4}};
    typename Config::reclaimer domain{};
    space_type space{make()};
    cpu_type first{domain};
    cpu_type second{domain};

private:
    space_type make() {
        if constexpr (std::is_empty_v<typename Config::flush>) {
            return space_type{frames, tables, domain, limits()};
        } else {
            return space_type{frames, tables, domain, nobody, flush, limits()};
        }
    }
};

// ---------------------------------------------------------------------------------- 11: Dirty COW

/// A walker that forgets, once a fault has been answered, that it wanted to write.
template<class Base>
struct forgetful_walker {
    using cursor = typename Base::cursor;
    using witness = typename Base::witness;
    Base base;
    int seeks{0};
    void seek(cursor& walk, walk_request request, witness& held) {
        if (++seeks > 1) request.flags = request.flags.without(gup_flag::write);
        base.seek(walk, request, held);
    }
    void deliver(cursor& walk, std::uint64_t word, witness& held) {
        base.deliver(walk, word, held);
    }
    std::uint64_t read(entry_query query) const { return base.read(query); }
};
/// The same shape with nothing forgotten.
template<class Base>
struct faithful_walker {
    static constexpr bool holds = true;
    using cursor = typename Base::cursor;
    using witness = typename Base::witness;
    Base base;
    void seek(cursor& walk, walk_request const& request, witness& held) {
        base.seek(walk, request, held);
    }
    void deliver(cursor& walk, std::uint64_t word, witness& held) {
        base.deliver(walk, word, held);
    }
    std::uint64_t read(entry_query query) const { return base.read(query); }
};

/// A handler that is told to write once, and then only to read.
template<class Base>
struct forgetful_handler : Base {
    using Base::Base;
    int faults{0};
    auto handle(fault_request request, lock_authority<typename Base::lock_type>& authority,
                typename Base::cpu_type& me) {
        if (++faults > 1) request.flags = request.flags.without(fault_flag::write);
        return Base::handle(request, authority, me);
    }
};

/// Race 11: a FORCE write to a read-only private page breaks copy-on-write, MADV_DONTNEED throws the
/// copy away, and the next round must not be content with what is there to read – here the page of
/// zeroes that everybody shares.
template<template<class> class Walker, class Handler>
struct dirty_cow : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    using base_walker = locked_walker<space_type>;

    dirty_cow() : tiny_process{prot::r} {}
    void actor(int who) {
        if (who == 1) return discard(0);
        Handler handler{space};
        Walker<base_walker> walker{base_walker{space, first}};
        auto const mm = compose(space.lock(), handler, walker);
        std::array<pfn, 1> out{};
        auto const got =
            gup_unlocked(mm, first, span_of(0), {gup_flag::write, gup_flag::force}, out);
        if (got.pages != 1) return;
        M::expect(out[0] != frames.zero_page(), "what is written to is everybody's page of zeroes");
        frames.put(out[0]);
    }
};
using shared_only_dispatch = dispatch<address_space<shared_only_config>>;

// ------------------------------------------------------------------------------------ 14: the TLB

/// A cpu's cached translation of one page. Each access of the cpu, its walk of the tables included,
/// is one piece for a flush, which is an interrupt to that cpu.
struct one_entry_tlb {
    using M = model_machine;
    static constexpr std::uint64_t nothing = 0;
    spin_lock<M> cpu{};
    M::plain<std::uint64_t> cached{nothing};

    void operator()(page_span) {
        spin_guard<M> const interrupted{cpu};
        cached.set(nothing);
    }
};
/// A flush that reaches nobody.
struct lost_flush : one_entry_tlb {
    void operator()(page_span) {}
};

/// When a page is released.
enum class release_bug : std::uint8_t { none, before_the_flush };

/// Race 14: a cpu writes through a stale translation to a page that is somebody else's by now.
template<class Tlb, release_bug Bug = release_bug::none>
struct stale_translation {
    using M = model_machine;
    using space_type = tiny_space<>;
    static constexpr int actors = 2;
    space_type space;
    Tlb tlb{};
    M::plain<int> contents{0};
    space_type::cpu_type remover{space.domain};

    stale_translation() {
        M::name(&tlb, "tlb");
        M::name(&contents, "contents");
    }
    void actor(int who) {
        if (who == 1) return take_away();
        for (int store = 0; store < 2; ++store) user_stores();
    }
    void user_stores() {
        spin_guard<M> const running{tlb.cpu};
        if (tlb.cached.get() == one_entry_tlb::nothing) fill();
        if (tlb.cached.get() != one_entry_tlb::nothing) contents.set(1);
    }
    void fill() {
        auto const root = space.table().read(space.table().root(), space_type::address, 1);
        auto const table = space_type::format::decode(root, 1);
        auto const leaf =
            space_type::format::decode(space.table().read(table.target, space_type::address, 0), 0);
        if (leaf.is_leaf()) tlb.cached.set(leaf.target.value);
    }
    void take_away() {
        std::optional<pfn> gone;
        auto const sink = [&](virt_addr, page_entry const& entry, unsigned) {
            gone = entry.target;
            if (Bug == release_bug::before_the_flush) reuse(entry.target);
        };
        (void)space.table().unmap(remover, *page_span::from(space_type::address, page_count{1}),
                                  sink, tlb);
        if (gone && Bug == release_bug::none) reuse(*gone);
    }
    void reuse(pfn page) {
        space.frames().put(page);
        auto const next = space.frames().allocate(frame_kind::anonymous);
        contents.set(2);  // its new owner's
        if (next) space.frames().put(*next);
    }
};

// ----------------------------------------------------------------------- 15, 16: what a drop costs

/// What is kept over a drop of the lock.
enum class keeps : std::uint8_t { nothing, the_vma };

/// Race 15: the mapping goes while the lock is dropped. Whatever was looked up before is void.
template<keeps What>
struct vma_over_a_drop : tiny_process<> {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 1) {
            (void)space.munmap(second, span_of(0, 2));
            return;
        }
        auto held = held_shared<lock_type>::acquire(space.lock());
        auto const before = space.find(start, held);
        if (!before) return;
        auto area = before->view(held);
        (void)held.give_up();
        auto const again = held_shared<lock_type>::acquire(space.lock());
        if (What == keeps::nothing) {
            auto const after = space.find(start, again);
            if (!after) return;
            area = after->view(again);
        }
        auto const page = *allocate_page_for(space, area);
        (void)install_page(space, first, start, leaf_for(area, page, install_for::writing));
    }
    void finish() {
        auto const held = held_shared<lock_type>::acquire(space.lock());
        M::expect(space.find(start, held) || entry_at(0).none(), "a page where nothing is mapped");
    }
};

/// Drops the lock for the first fault of one page and asks for another try; answers like anonymous
/// memory from then on.
template<class Space>
struct once_dropping {
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = fault_outcome<lock_type, machine>;
    anonymous<Space> memory;
    bool dropped{false};
    explicit once_dropping(Space& space) : memory{space} {}
    outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                   cpu_type& me) {
        auto permission = authority.permission();
        if (dropped || !permission) return memory.handle(request, authority, me);
        dropped = true;
        return outcome::retry(permission->drop(), {});
    }
};

/// A walker that finds pages without taking hold of them.
template<class Base>
struct loose_walker : faithful_walker<Base> {
    static constexpr bool holds = false;
    using base = faithful_walker<Base>;
    void seek(typename base::cursor& walk, walk_request request, typename base::witness& held) {
        request.how = holding::none;
        base::seek(walk, request, held);
    }
};

/// Race 16: a page collected before the drop is thrown away during it. The caller still has the old
/// page; that is allowed, and safe, because it holds a reference.
template<template<class> class Walker>
struct collected_before_the_drop : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    using base_walker = locked_walker<space_type>;
    pfn old{touch(0)};

    void actor(int who) {
        if (who == 1) return discard(0);
        once_dropping<space_type> handler{space};
        Walker<base_walker> walker{{base_walker{space, first}}};
        auto const mm = compose(space.lock(), handler, walker);
        std::array<pfn, 2> out{};
        auto const got = gup_unlocked(mm, first, span_of(0, 2), {gup_flag::write}, out);
        M::expect(got.pages == 2, "both pages are found");
        M::expect(frames.ref_count(out[0]) != 0 && out[0] != out[1],
                  "the first page is still held");
        if constexpr (Walker<base_walker>::holds) frames.put(out[0]), frames.put(out[1]);
    }
    void finish() {
        auto const mapped = space.resident().total();
        M::expect(frames.statistics().free == 4 - mapped, "no page is lost, none is freed twice");
    }
};

// ------------------------------------------------------------------- 17 – 19: waiting for a pager

/// What the handler of a userfault, or its pager, does wrong.
enum class pager_bug : std::uint8_t {
    none,
    not_rechecked,             ///< sleeps without another look at the page
    rechecked_before_queuing,  ///< looks, and only then becomes findable
    woken_before_resolved,     ///< the pager wakes first
    lock_kept_when_closed,     ///< answers "look again" with the lock held while it is being closed
    sleeps_unkillably,         ///< waits inside, and for the pager alone
};

/// A handler of missing pages made of a userfault_queue: the protocol of userfault.hpp in twenty
/// lines, with each of its steps there to be left out.
template<class Space, pager_bug Bug>
struct queue_handler {
    using machine = typename Space::machine;
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using outcome = fault_outcome<lock_type, machine>;

    Space& space;
    userfault_queue<machine>& queue;
    typename machine::template plain<bool>& released;  // guarded by the mm lock
    present_page<Space> present{space};
    anonymous<Space> memory{space};

    outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                   cpu_type& me) {
        auto const missing = present.is_missing(me, request.at);
        if (!missing || released.get()) return memory.handle(request, authority, me);
        auto permission = authority.permission();
        if (!permission) return outcome::failed(errc::bad_address);
        if (queue.stopped()) {
            if (Bug == pager_bug::lock_kept_when_closed) return outcome::installed();
            machine::relax();  // twice: one more round is searched, not three
            machine::relax();
            return outcome::retry(permission->drop(), {});
        }
        auto ticket = queue.raise(me.current(), request.at, {});
        auto const rechecks =
            Bug != pager_bug::not_rechecked && Bug != pager_bug::rechecked_before_queuing;
        if (rechecks && !present.is_missing(me, request.at)) ticket->reset();
        auto proof = permission->drop();
        if (Bug == pager_bug::sleeps_unkillably) {
            ticket->wait(wait_mode::uninterruptible);
            ticket->reset();
        }
        return outcome::retry(std::move(proof), *std::move(ticket));
    }
};

/// A process one of whose pages a pager brings.
template<pager_bug Bug, class Config = shared_only_config>
struct paged_process : tiny_process<Config> {
    using base = tiny_process<Config>;
    using M = model_machine;
    using base::first, base::frames, base::second, base::space, base::span_of, base::start;
    using typename base::lock_type;
    using handler_type = queue_handler<typename base::space_type, Bug>;
    userfault_queue<M> queue;
    M::plain<bool> released{false};

    gup_result get() {
        handler_type handler{space, queue, released};
        locked_walker<typename base::space_type> walker{space, first};
        auto const mm = compose(space.lock(), handler, walker);
        std::array<pfn, 1> out{};
        auto const got = gup_unlocked(mm, first, span_of(0), {}, out);
        if (got.pages == 1) frames.put(out[0]);
        return got;
    }
    void bring() {
        if (Bug == pager_bug::woken_before_resolved) (void)queue.wake(span_of(0));
        {
            auto const held = held_shared<lock_type>::acquire(space.lock());
            auto const area = space.find(start, held);
            (void)install_leaf(space, second, start,
                               zero_leaf_for(area->view(held), frames.zero_page()));
        }
        if (Bug != pager_bug::woken_before_resolved) (void)queue.wake(span_of(0));
    }
    void close() {
        queue.stop();
        {
            auto const held = held_exclusive<lock_type>::acquire(space.lock());
            released.set(true);
        }
        (void)queue.wake_all();
    }
};

/// Race 17: the task is killed while it waits for a page that nobody will bring.
template<pager_bug Bug>
struct killed_while_waiting_for_a_page : paged_process<Bug> {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 1) return this->first.current().kill();
        auto const got = this->get();
        model_machine::expect(got.pages == 0 && got.error == errc::interrupted,
                              "it says that it was killed");
    }
};

/// Race 18: the page comes between the look at its entry and the sleep.
template<pager_bug Bug>
struct resolved_before_the_sleep : paged_process<Bug> {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 1) return this->bring();
        model_machine::expect(this->get().pages == 1, "the page is found");
    }
};

/// Race 18 on the real thing: a userfault, and a pager that reads no event.
struct userfault_resolved_early : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    userfault<space_type> pager{space};

    userfault_resolved_early() { (void)pager.register_range(first, span_of(0, 2)); }
    ~userfault_resolved_early() {
        cpu_type last{domain};
        (void)pager.close(last);
    }
    void actor(int who) {
        if (who == 1) {
            M::expect(pager.zeropage(second, span_of(0)).complete(), "the page is put in place");
            return;
        }
        std::array<pfn, 1> out{};
        auto const got = gup_unlocked(space, first, span_of(0), {}, out);
        M::expect(got.pages == 1, "the page is found");
        frames.put(out[0]);
    }
};

/// Race 18 once more, for write protection: the pager lifts it between the writer's look at the
/// entry and its sleep.
struct protection_lifted_early : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    userfault<space_type> pager{space};

    protection_lifted_early() {
        touch(0);
        (void)pager.register_range(first, span_of(0, 2), userfault_mode::write_protect);
        (void)pager.writeprotect(first, span_of(0), userfault_protection::on);
    }
    ~protection_lifted_early() {
        cpu_type last{domain};
        (void)pager.close(last);
    }
    void actor(int who) {
        if (who == 1) {
            auto const lifted = pager.writeprotect(second, span_of(0), userfault_protection::off);
            M::expect(lifted.has_value(), "the protection is lifted");
            return;
        }
        std::array<pfn, 1> out{};
        auto const got = gup_unlocked(space, first, span_of(0), gup_flag::write, out);
        M::expect(got.pages == 1, "the page may be written");
        frames.put(out[0]);
    }
};

/// A page is protected while it moves to another frame: it is protected wherever it ends up.
struct protected_on_its_way : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    userfault<space_type> pager{space};

    protected_on_its_way() {
        touch(0);
        (void)pager.register_range(first, span_of(0, 2), userfault_mode::write_protect);
    }
    ~protected_on_its_way() {
        cpu_type last{domain};
        (void)pager.close(last);
    }
    void actor(int who) {
        if (who == 1) {
            (void)pager.writeprotect(second, span_of(0), userfault_protection::on);
            return;
        }
        auto const held = held_shared<lock_type>::acquire(space.lock());
        (void)migrate_page(held, first, space, start);
    }
    void finish() {
        auto const entry = entry_at(0);
        M::expect(entry.is_leaf(), "the page is there");
        M::expect(entry.uffd_wp && !entry.writable, "the page is protected");
    }
};

/// Race 19: the userfault is closed while gup asks again and again.
template<pager_bug Bug>
struct closed_while_retrying : paged_process<Bug, tiny_config> {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 1) return this->close();
        model_machine::expect(this->get().pages == 1, "the page is found");
    }
};

// --------------------------------------------------------------------------------- 20: two faults

/// How a fault puts its page in place.
enum class install_bug : std::uint8_t { none, not_looked_again };

/// Race 20: two faults on one entry, each with its page ready. The loser gives its page back, and is
/// as content.
template<install_bug Bug>
struct two_faults : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    void actor(int who) {
        auto& me = who == 0 ? first : second;
        auto const page = *frames.allocate(frame_kind::anonymous);
        auto const leaf = page_entry::leaf_to(page, prot::rw);
        if constexpr (Bug == install_bug::none) {
            auto const done = install_page(space, me, start, leaf);
            M::expect(done || done.error() == errc::exists, "there is a page");
        } else {
            auto entry = space.table().lock_leaf(me, start, 0, if_absent::create);
            entry->set(leaf);
            space.note_mapped(leaf, 1);
        }
    }
    void finish() {
        M::expect(space.resident().total() == 1, "one page is mapped");
        M::expect(frames.statistics().free == 3, "the loser's page came back");
    }
};

// ------------------------------------------------------------------------ 27, 28, 30: who may look

/// What a caller believes a page it holds to say about keys.
enum class key_belief : std::uint8_t { a_moment, a_promise };

/// Race 27: another thread changes the page's protection key during gup_fast. Accepted: what was
/// permitted at one moment of the call is held.
template<key_belief Belief>
struct key_changed_meanwhile : tiny_process<> {
    static constexpr int actors = 2;
    pfn page{touch(0)};
    std::optional<pfn> held{};

    key_changed_meanwhile() { first.set_key_rights(protection_key_rights{}.with(forbidden, 1)); }
    void actor(int who) {
        if (who == 1) {
            (void)space.mprotect(second, span_of(0), prot::rw, forbidden);
            return;
        }
        std::array<pfn, 1> out{};
        if (gup_fast_only(space, first, span_of(0), {}, out).pages == 1) held = out[0];
    }
    void finish() {
        auto const now = entry_at(0).pkey;
        M::expect(!held || *held == page, "what is held is the page");
        M::expect(Belief == key_belief::a_moment || !held || now != forbidden,
                  "a page is held whose key forbids it now");
        if (held) frames.put(*held);
    }

private:
    static constexpr std::uint8_t forbidden = 1;
};

/// How a stack grows.
enum class growth_bug : std::uint8_t { none, under_the_shared_lock, not_looked_again };

/// Race 28 (StackRot): two threads touch the page below a stack. To grow it takes the exclusive lock,
/// and another look once one has it.
template<growth_bug Bug>
struct stack_growth {
    using M = model_machine;
    static constexpr int actors = 2;
    rw_lock<M> mm_lock;
    M::plain<int> start{10};
    M::plain<int> grown{0};
    stack_growth() {
        M::name(&mm_lock, "mm lock");
        M::name(&start, "stack start");
    }
    void actor(int) {
        {
            auto const held = held_shared<rw_lock<M>>::acquire(mm_lock);
            if (start.get() <= touched) return;
            if (Bug == growth_bug::under_the_shared_lock) return grow();
        }
        auto held = held_exclusive<rw_lock<M>>::acquire(mm_lock);
        if (Bug == growth_bug::none && start.get() <= touched) return;
        grow();
        auto const reading = std::move(held).downgrade();
        M::expect(start.get() <= touched, "the stack reaches down to the access");
    }
    void grow() {
        start.set(touched);
        grown.set(grown.get() + 1);
    }
    void finish() { M::expect(grown.get() == 1, "the stack grew once"); }

private:
    static constexpr int touched = 9;
};

/// How the mover holds the mm lock.
enum class mover_holds : std::uint8_t { exclusive, shared };

/// Race 30: mremap moves the page after a slow gup looked up the vma.
template<mover_holds How>
struct moved_while_looked_at {
    using M = model_machine;
    using space_type = tiny_space<>;
    static constexpr int actors = 2;
    static constexpr virt_addr other{page_size};
    space_type space;
    rw_lock<M> mm_lock;
    M::atomic<std::uint64_t> mapping{space_type::address.value};  // where the vma begins
    space_type::cpu_type walker{space.domain};
    space_type::cpu_type mover{space.domain};

    moved_while_looked_at() {
        M::name(&mm_lock, "mm lock");
        M::name(&mapping, "vma start");
    }
    void actor(int who) {
        if (who == 0) return look();
        How == mover_holds::exclusive ? mm_lock.lock() : mm_lock.lock_shared();
        move();
        How == mover_holds::exclusive ? mm_lock.unlock() : mm_lock.unlock_shared();
    }
    void look() {
        auto const held = held_shared<rw_lock<M>>::acquire(mm_lock);
        auto const at = virt_addr{mapping.load(relaxed)};
        auto const entry = space.table().lock_leaf(walker, at, 0, if_absent::fail);
        M::expect(entry->read().target == space.mapped, "the page is where its vma is");
    }
    void move() {
        auto from = space.table().lock_leaf(mover, space_type::address, 0, if_absent::fail);
        auto const leaf = from->clear();
        from->unlock();
        auto to = space.table().lock_leaf(mover, other, 0, if_absent::create);
        to->set(leaf);
        mapping.store(other.value, relaxed);
    }
};

inline void add_race_page_fault_scenarios(scenario_book& book) {
    book.add<dirty_cow<faithful_walker, shared_only_dispatch>>("race.11_dirty_cow",
                                                               "FORCE write against MADV_DONTNEED");
    book.add_mutant<dirty_cow<forgetful_walker, forgetful_handler<shared_only_dispatch>>>(
        "race.11_dirty_cow", "write_intent_dropped", "is content with reading once it has faulted");
    book.add<stale_translation<one_entry_tlb>>("race.14_stale_tlb",
                                               "flush before the page is released");
    book.add_mutant<stale_translation<lost_flush>>("race.14_stale_tlb", "not_flushed",
                                                   "does not flush");
    book.add_mutant<stale_translation<one_entry_tlb, release_bug::before_the_flush>>(
        "race.14_stale_tlb", "released_before_flush", "releases the page before the flush");
    book.add<two_faults<install_bug::none>>("race.20_two_faults", "two faults on one entry",
                                            reach::tso_only);
    book.add_mutant<two_faults<install_bug::not_looked_again>>(
        "race.20_two_faults", "not_looked_again", "installs over what somebody else installed");
}

inline void add_race_retry_scenarios(scenario_book& book) {
    using enum pager_bug;
    book.add<vma_over_a_drop<keeps::nothing>>("race.15_vma_over_drop",
                                              "the mapping goes while the lock is dropped");
    book.add_mutant<vma_over_a_drop<keeps::the_vma>>("race.15_vma_over_drop", "vma_kept",
                                                     "keeps the vma over the drop");
    book.add<collected_before_the_drop<faithful_walker>>(
        "race.16_collected_pages", "a collected page is discarded during the drop");
    book.add_mutant<collected_before_the_drop<loose_walker>>("race.16_collected_pages", "not_held",
                                                             "collects pages without a reference");
    book.add<killed_while_waiting_for_a_page<none>>("race.17_killed", "killed during the wait");
    book.add_mutant<killed_while_waiting_for_a_page<sleeps_unkillably>>(
        "race.17_killed", "sleeps_unkillably", "waits for the pager alone");
    book.add<resolved_before_the_sleep<none>>("race.18_resolved_early",
                                              "the page comes before the sleep");
    book.add_mutant<resolved_before_the_sleep<not_rechecked>>(
        "race.18_resolved_early", "not_rechecked", "sleeps without another look");
    book.add_mutant<resolved_before_the_sleep<woken_before_resolved>>(
        "race.18_resolved_early", "woken_before_resolved", "the pager wakes too early");
    book.add<userfault_resolved_early>("race.18_userfault", "the same with a real userfault",
                                       reach::tso_only);
    book.add<protection_lifted_early>("race.18_protection_lifted",
                                      "write protection is lifted before the sleep",
                                      reach::tso_only);
    book.add<protected_on_its_way>("userfault.protect_against_move",
                                   "write protection against a page that moves", reach::tso_only);
    book.add<closed_while_retrying<none>>("race.19_closed", "closed while gup tries again",
                                          reach::tso_only);
    book.add_mutant<closed_while_retrying<lock_kept_when_closed>>(
        "race.19_closed", "lock_kept", "keeps the lock while it asks for another look");
}

inline void add_race_lock_scenarios(scenario_book& book) {
    book.add<key_changed_meanwhile<key_belief::a_moment>>(
        "race.27_key_changed", "a key changes during gup_fast: accepted");
    book.add_mutant<key_changed_meanwhile<key_belief::a_promise>>(
        "race.27_key_changed", "taken_for_a_promise", "believes that the key still permits it");
    book.add<stack_growth<growth_bug::none>>("race.28_stack_growth", "two threads grow one stack");
    book.add_mutant<stack_growth<growth_bug::under_the_shared_lock>>(
        "race.28_stack_growth", "under_the_shared_lock", "grows under the shared lock");
    book.add_mutant<stack_growth<growth_bug::not_looked_again>>(
        "race.28_stack_growth", "not_looked_again", "does not look again under the exclusive lock");
    book.add<moved_while_looked_at<mover_holds::exclusive>>("race.30_mover",
                                                            "mremap against a slow walk");
    book.add_mutant<moved_while_looked_at<mover_holds::shared>>(
        "race.30_mover", "moves_under_shared", "moves under the shared lock");
}

inline void add_race_fault_scenarios(scenario_book& book) {
    add_race_page_fault_scenarios(book);
    add_race_retry_scenarios(book);
    add_race_lock_scenarios(book);
}

}  // namespace mmhold_test
