// SPDX-License-Identifier: BSL-1.0
#pragma once

// A stack that grows when a program stores below it (space/stack_growth.hpp), on a real address
// space: against another store below it, against munmap of the stack, and against mmap of the gap
// that it keeps to its neighbour. Between the shared hold that found nothing and the exclusive one
// that lets it grow everything may happen. What must hold: a store that was done is in a mapping; what
// is below the stack keeps its distance; the mapping that somebody placed meanwhile is not touched.

#include <mmhold/callers/user_access.hpp>
#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/space/stack_growth.hpp>

#include "gup_scenarios.hpp"
#include "pair_world.hpp"
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold_test {

/// plain_mm_lock that can also turn an exclusive hold into a shared one.
struct plain_downgradable_lock : plain_mm_lock {
    void downgrade() noexcept {
        M::lock_given(this, lock_mode::exclusive);
        (void)word_.fetch_add(reader - writer, release("plain_lock.downgrade"));
        M::lock_taken(this, lock_mode::shared);
    }
};
/// The same, but everybody holds it shared.
struct shared_by_growers : plain_downgradable_lock {
    bool try_lock() noexcept { return try_lock_shared(); }
    void lock() noexcept { lock_shared(); }
    void unlock() noexcept { unlock_shared(); }
    void downgrade() noexcept {}
};

/// What a grower does wrong.
enum class grower_bug : std::uint8_t { none, not_looked_again };

/// A stack of one page, below the last of seven, and what lies between it and address 0.
template<class Lock = plain_downgradable_lock>
struct stack_world {
    using M = model_machine;
    struct config : default_config<M> {
        using format = x86_64_radix<2, 2>;
        using lock = Lock;
        using reclaimer = hazard_domain<M, 1>;
        using tables = host_tables<format, reclaimer>;
    };
    using space_type = address_space<config>;
    using cpu_type = typename space_type::cpu_type;
    static constexpr std::uint64_t stack_page = 5;
    static constexpr std::uint64_t all_frames = 4;

    frame_pool<M> frames{page_count{all_frames}, frame_bytes::owned, pfn{16}, pin_statistics::off};
    typename config::tables tables{page_count{5}};
    typename config::reclaimer domain{};
    space_type space{frames, tables, domain, limits()};
    cpu_type first{domain};
    cpu_type second{domain};

    stack_world() {
        M::name(&space, "space");
        auto stack = at_page(stack_page);
        stack.kind = vma_kind::stack;
        stack.properties = {vma_flag::grows_down};
        (void)space.mmap(first, stack);
        std::array const zero{std::byte{0}};  // its tables are there
        (void)write_user(space, first, page(stack_page), zero);
    }
    stack_world(stack_world const&) = delete;
    stack_world& operator=(stack_world const&) = delete;
    ~stack_world() = default;

    static layout_limits limits() {
        auto limits = layout_limits::of(config::format::virtual_bits);
        limits.lowest = page(1);
        limits.stack_gap_pages = 1;
        return limits;
    }
    static virt_addr page(std::uint64_t n) { return virt_addr{n * page_size}; }
    static mmap_request at_page(std::uint64_t n) {
        return {.hint = page(n), .pages = page_count{1}, .flags = mmap_flag::fixed_noreplace};
    }

    /// A program's store. True: it was done.
    bool store(cpu_type& me, std::uint64_t n) {
        std::array const one{std::byte{1}};
        return write_user(space, me, page(n), one).why == trap::none;
    }
    /// The same by a grower who trusts what it found before it had to give the lock up.
    bool store_trustfully(cpu_type& me, std::uint64_t n) {
        std::size_t index = 0;
        {
            auto const held = held_exclusive<Lock>::acquire(space.lock());
            auto const& map = space.layout_for_change(held).map();
            index = map.find_at_or_above(page(n));
            auto const below = index > 0 && map[index - 1].span.end() == page(n);
            if (index == map.size() || below) return false;
            if (map[index].span.start() <= page(n)) return store(me, n);
        }
        {
            auto const held = held_exclusive<Lock>::acquire(space.lock());
            auto& layout = space.layout_for_change(held);
            M::expect(index < layout.map().size(), "a mapping grows that is not there any more");
            layout.grow_down(index, page(n));
        }
        return store(me, n);
    }
    template<grower_bug Bug>
    bool store_below(cpu_type& me, std::uint64_t n) {
        return Bug == grower_bug::none ? store(me, n) : store_trustfully(me, n);
    }

    std::optional<vma> mapping_at(std::uint64_t n) {
        auto const held = held_shared<Lock>::acquire(space.lock());
        auto const found = space.find(page(n), held);
        if (!found || !found->view(held).span.contains(page(n))) return std::nullopt;
        return found->view(held);
    }
    bool is_stack(std::uint64_t n) {
        auto const area = mapping_at(n);
        return area && area->flags.has(vma_flag::grows_down);
    }
    void end() {
        space.exit(first);
        M::expect(frames.statistics().free == all_frames, "a frame is still held when all is over");
    }
};

/// Two stores below one stack, at different depths: it reaches down to the lower one.
template<grower_bug Bug = grower_bug::none, class Lock = plain_downgradable_lock>
struct two_grow : stack_world<Lock> {
    using base = stack_world<Lock>;
    static constexpr int actors = 2;
    void actor(int who) {
        auto const done = who == 0 ? base::template store_below<Bug>(base::first, 3)
                                   : base::template store_below<Bug>(base::second, 4);
        base::M::expect(done, "a store below a stack is done");
    }
    void finish() {
        for (std::uint64_t n = 3; n <= base::stack_page; ++n) {
            base::M::expect(base::is_stack(n), "the stack reaches down to every store");
        }
        base::end();
    }
};

/// A store below a stack, and munmap of the stack.
template<grower_bug Bug = grower_bug::none>
struct grow_against_unmap : stack_world<> {
    static constexpr int actors = 2;
    bool stored{false};
    void actor(int who) {
        if (who == 0) return (void)(stored = store_below<Bug>(first, 4));
        (void)space.munmap(second, *page_span::from(page(stack_page), page_count{1}));
    }
    void finish() {
        M::expect(!mapping_at(stack_page), "what was unmapped is gone");
        M::expect(stored == is_stack(4), "a store is in a mapping, or was not done");
        end();
    }
};

/// A store below a stack, and mmap of the page that it touches, or of the gap below that.
template<std::uint64_t Mapped, grower_bug Bug = grower_bug::none>
struct grow_against_map : stack_world<> {
    static constexpr int actors = 2;
    bool stored{false};
    bool mapped{false};
    void actor(int who) {
        if (who == 0) return (void)(stored = store_below<Bug>(first, 4));
        auto wanted = at_page(Mapped);
        if (Mapped != 4) wanted.flags = {};  // where there is room for it
        auto const got = space.mmap(second, wanted);
        mapped = got && *got == page(Mapped);
    }
    void finish() {
        if (Mapped == 4) {
            M::expect(stored && mapped != is_stack(4), "the page has one owner");
        } else {
            M::expect(stored != mapped, "the stack keeps its distance");
        }
        M::expect(stored == mapping_at(4).has_value(), "a store is in a mapping");
        end();
    }
};

inline void add_growth_scenarios(scenario_book& book) {
    using enum grower_bug;
    book.add<two_grow<>>("growth.two_stores", "two stores below one stack");
    book.add_mutant<two_grow<not_looked_again>>(
        "growth.two_stores", "not_looked_again",
        "makes the stack shorter that the other made longer");
    book.add_mutant<two_grow<none, shared_by_growers>>("growth.two_stores", "under_the_shared_lock",
                                                       "grows among those who look");
    book.add<grow_against_unmap<>>("growth.store_against_unmap", "a store below a stack that goes");
    book.add_mutant<grow_against_unmap<not_looked_again>>(
        "growth.store_against_unmap", "not_looked_again", "grows what is not there any more");
    book.add<grow_against_map<4>>("growth.store_against_map",
                                  "a store below a stack, where somebody maps something");
    book.add<grow_against_map<3>>("growth.store_against_map_of_gap",
                                  "a store below a stack, whose gap somebody maps");
    book.add_mutant<grow_against_map<3, not_looked_again>>(
        "growth.store_against_map_of_gap", "not_looked_again", "grows up to its new neighbour");
}

}  // namespace mmhold_test
