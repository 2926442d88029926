// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/gup_flags.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace mmhold {

/// What held pages are given back to. frame_pool is one; a simulator's own memory is another.
template<class P>
concept PagePool = requires(P& pool, pfn page, std::uint64_t n) {
    {pool.put(page, n)};                          // n references of the folio of `page`
    {pool.unpin(page, n)};                        // n pins
    {pool.mark_dirty(page)};                      // its contents were changed
    { pool.head_of(page) } -> std::same_as<pfn>;  // the folio; stable while it is held
};

/// Pages that gup has handed over, given back at the end of the scope.
///
/// The list of pages stays the caller's: it must outlive this object unchanged. Pages of one folio
/// that stand next to each other are given back in one operation. Used by one actor.
template<PagePool Pool>
class [[nodiscard]] pinned {
public:
    /// Nothing.
    constexpr pinned() noexcept = default;
    /// Answers for `pages`, each held once as `how` says. With holding::none nothing is given back.
    constexpr pinned(Pool& from, std::span<pfn const> pages, holding how) noexcept
        : pool_{&from}, pages_{pages}, how_{how} {}
    pinned(pinned const&) = delete;             // mmhold: each page is given back once: move it
    pinned& operator=(pinned const&) = delete;  // mmhold: each page is given back once: move it
    constexpr pinned(pinned&& other) noexcept
        : pool_{other.pool_}, pages_{std::exchange(other.pages_, {})}, how_{other.how_} {}
    constexpr pinned& operator=(pinned&& other) noexcept {
        if (this != &other) {
            release();
            pool_ = other.pool_;
            pages_ = std::exchange(other.pages_, {});
            how_ = other.how_;
        }
        return *this;
    }
    constexpr ~pinned() { release(); }

    /// The pages; empty after release(), forget() and being moved from.
    [[nodiscard]] constexpr std::span<pfn const> pages() const noexcept { return pages_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return pages_.size(); }
    [[nodiscard]] constexpr bool empty() const noexcept { return pages_.empty(); }
    /// Precondition: index < size().
    [[nodiscard]] constexpr pfn operator[](std::size_t index) const noexcept {
        return pages_[index];
    }
    [[nodiscard]] constexpr auto begin() const noexcept { return pages_.begin(); }
    [[nodiscard]] constexpr auto end() const noexcept { return pages_.end(); }
    /// In which way they are held.
    [[nodiscard]] constexpr holding how() const noexcept { return how_; }

    /// Gives the pages back now (put_page, unpin_user_pages).
    constexpr void release() noexcept { give_back(contents::untouched); }

    /// The same for who has written to them: they are marked dirty first
    /// (unpin_user_pages_dirty_lock, gup-semantics §1.3).
    constexpr void release_dirty() noexcept { give_back(contents::changed); }

    /// The pages are somebody else's business from now on: gives nothing back.
    constexpr std::span<pfn const> forget() noexcept { return std::exchange(pages_, {}); }

private:
    enum class contents : std::uint8_t { untouched, changed };

    constexpr void give_back(contents what) noexcept {
        auto left = std::exchange(pages_, {});
        if (how_ == holding::none) return;
        while (!left.empty()) {
            auto const run = same_folio(left);
            if (what == contents::changed) pool_->mark_dirty(left.front());
            if (how_ == holding::pin) {
                pool_->unpin(left.front(), run);
            } else {
                pool_->put(left.front(), run);
            }
            left = left.subspan(run);
        }
    }

    // How many pages at the front belong to one folio.
    constexpr std::size_t same_folio(std::span<pfn const> pages) const noexcept {
        auto const folio = pool_->head_of(pages.front());
        std::size_t run = 1;
        while (run < pages.size() && pool_->head_of(pages[run]) == folio) ++run;
        return run;
    }

    Pool* pool_{nullptr};
    std::span<pfn const> pages_{};
    holding how_{holding::none};
};

template<PagePool Pool>
pinned(Pool&, std::span<pfn const>, holding) -> pinned<Pool>;

static_assert(PagePool<frame_pool<constexpr_machine>>);

}  // namespace mmhold
