// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mmhold {

/// Frame numbers by page number: a tree of 16-way nodes, as high as the largest number needs. A
/// lookup costs one step for each four bits of that number; empty ranges cost nothing.
///
/// Not synchronised: the owner's lock guards it. Memory is allocated by insert() only, and given
/// back when a node has become empty.
template<Machine M>
class page_index {
public:
    /// A page and its number.
    struct found {
        std::uint64_t index{0};
        pfn page{};
        friend constexpr bool operator==(found const&, found const&) = default;
    };

    /// Empty.
    constexpr page_index() noexcept = default;
    page_index(page_index const&) = delete;
    page_index& operator=(page_index const&) = delete;
    constexpr ~page_index() {
        if (auto* const top = root_.get()) destroy(*top, height_.get());
    }

    /// How many pages there are.
    [[nodiscard]] constexpr std::uint64_t size() const noexcept { return size_.get(); }

    /// The page with this number, if there is one.
    [[nodiscard]] constexpr std::optional<pfn> find(std::uint64_t index) const noexcept {
        auto* at = root_.get();
        if (at == nullptr || !reaches(height_.get(), index)) return std::nullopt;
        for (auto level = height_.get(); level > 0; --level) {
            if (!at->has(slot(index, level))) return std::nullopt;
            at = at->below[slot(index, level)].get();
        }
        if (!at->has(slot(index, 0))) return std::nullopt;
        return at->pages[slot(index, 0)].get();
    }

    /// The page with the smallest number from `from` on, if there is one.
    [[nodiscard]] constexpr std::optional<found> find_from(std::uint64_t from) const noexcept {
        auto* const top = root_.get();
        if (top == nullptr || !reaches(height_.get(), from)) return std::nullopt;
        return first_in(*top, height_.get(), 0, from);
    }

    /// Adds a page. Errors, and then nothing has changed: exists; no_memory.
    [[nodiscard]] constexpr result<void> insert(std::uint64_t index, pfn page) {
        if (find(index)) return errc::exists;
        auto* const leaf = grow_to(index);
        if (leaf == nullptr) {
            prune(index);
            return errc::no_memory;
        }
        leaf->pages[slot(index, 0)].set(page);
        leaf->used.set(leaf->used.get() | bit(slot(index, 0)));
        size_.set(size_.get() + 1);
        return {};
    }

    /// Another page has this number from now on. Precondition: one had it.
    constexpr void replace(std::uint64_t index, pfn page) noexcept {
        leaf_of(index).pages[slot(index, 0)].set(page);
    }

    /// Removes the page with this number. Precondition: there is one.
    constexpr void erase(std::uint64_t index) noexcept {
        auto& leaf = leaf_of(index);
        leaf.used.set(leaf.used.get() & ~bit(slot(index, 0)));
        size_.set(size_.get() - 1);
        prune(index);
    }

private:
    template<class T>
    using plain = typename M::template plain<T>;

    static constexpr unsigned bits = 4;
    static constexpr std::size_t fan_out = std::size_t{1} << bits;
    static constexpr unsigned max_height = 64 / bits - 1;

    // At level 0 `pages` counts, above it `below`; `used` says which slots of either.
    struct node {
        std::array<plain<node*>, fan_out> below{};
        std::array<plain<pfn>, fan_out> pages{};
        plain<std::uint32_t> used{0};

        [[nodiscard]] constexpr bool has(std::size_t at) const noexcept {
            return (used.get() & bit(at)) != 0;
        }
    };

    [[nodiscard]] static constexpr std::uint32_t bit(std::size_t at) noexcept {
        return std::uint32_t{1} << at;
    }
    [[nodiscard]] static constexpr std::size_t slot(std::uint64_t index, unsigned level) noexcept {
        return static_cast<std::size_t>(index >> (bits * level)) & (fan_out - 1);
    }
    [[nodiscard]] static constexpr bool reaches(unsigned height, std::uint64_t index) noexcept {
        return height >= max_height || (index >> (bits * (height + 1))) == 0;
    }

    // The leaf with the page that has this number.
    constexpr node& leaf_of(std::uint64_t index) noexcept {
        M::expect(find(index).has_value(), "page_index: no such page");
        auto* at = root_.get();
        for (auto level = height_.get(); level > 0; --level) {
            at = at->below[slot(index, level)].get();
        }
        return *at;
    }

    constexpr std::optional<found> first_in(node const& in, unsigned level, std::uint64_t base,
                                            std::uint64_t from) const noexcept {
        for (auto at = from > base ? slot(from, level) : 0; at < fan_out; ++at) {
            if (!in.has(at)) continue;
            auto const start = base | (std::uint64_t{at} << (bits * level));
            if (level == 0) return found{start, in.pages[at].get()};
            auto const inside = first_in(*in.below[at].get(), level - 1, start, from);
            if (inside) return inside;
        }
        return std::nullopt;
    }

    // The leaf for `index`; nullptr if memory is exhausted, and then empty nodes may be left.
    constexpr node* grow_to(std::uint64_t index) {
        if (root_.get() == nullptr) root_.set(M::template create<node>());
        while (root_.get() != nullptr && !reaches(height_.get(), index)) {
            auto* const taller = M::template create<node>();
            if (taller == nullptr) return nullptr;
            link(*taller, 0, root_.get());
            root_.set(taller);
            height_.set(height_.get() + 1);
        }
        auto* at = root_.get();
        for (auto level = height_.get(); level > 0 && at != nullptr; --level) {
            auto const where = slot(index, level);
            if (!at->has(where)) {
                auto* const fresh = M::template create<node>();
                if (fresh == nullptr) return nullptr;
                link(*at, where, fresh);
            }
            at = at->below[where].get();
        }
        return at;
    }
    static constexpr void link(node& above, std::size_t where, node* below) noexcept {
        above.below[where].set(below);
        above.used.set(above.used.get() | bit(where));
    }

    // Takes away the empty nodes on the way to `index`, from below.
    constexpr void prune(std::uint64_t index) noexcept {
        std::array<node*, max_height + 1> way{};
        auto* at = root_.get();
        for (auto level = height_.get(); at != nullptr; --level) {
            way[level] = at;
            if (level == 0) break;
            at = at->has(slot(index, level)) ? at->below[slot(index, level)].get() : nullptr;
        }
        for (unsigned level = 0; level <= height_.get(); ++level) {
            if (way[level] == nullptr) continue;
            if (way[level]->used.get() != 0) return;
            M::destroy(way[level]);
            if (level == height_.get()) {
                root_.set(nullptr);
                height_.set(0);
                return;
            }
            auto& above = *way[level + 1];
            above.used.set(above.used.get() & ~bit(slot(index, level + 1)));
        }
    }

    static constexpr void destroy(node& top, unsigned level) noexcept {
        for (std::size_t at = 0; level > 0 && at < fan_out; ++at) {
            if (top.has(at)) destroy(*top.below[at].get(), level - 1);
        }
        M::destroy(&top);
    }

    plain<node*> root_{nullptr};
    plain<unsigned> height_{0};  // the root's level
    plain<std::uint64_t> size_{0};
};

}  // namespace mmhold
