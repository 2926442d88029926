// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/page_reads.hpp>
#include <mmhold/fault/page_request.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mmhold {

/// A file of a file system: a page cache whose pages are read in by servers that take their time –
/// a disk, a network, a program (FUSE). Map it with request().
///
/// Serving it is like serving a page_source: next_read(), then complete() or fail(). Outlives every
/// vma that names it, and every ticket a fault on it has given out.
template<class Space>
class file_object : public page_cache<Space> {
    using cache = page_cache<Space>;

public:
    using machine = typename Space::machine;
    using place = typename page_reads<machine>::place;

    /// A file of `bytes` bytes, none of them in memory. `number`: what requests carry as `file`.
    constexpr file_object(typename cache::pool_type& frames, std::uint64_t bytes,
                          dirty_tracking tracking = dirty_tracking::on,
                          std::uint64_t number = 0) noexcept
        : cache{frames, object_kind::file, bytes, tracking}, number_{number} {}

    // ---- the fault ------------------------------------------------------------------------------

    /// Asks for page `index` to be read in, unless it is cached (or behind the end) by now: then
    /// the place has nothing to wait for. Errors: no_memory; bad_address once closed.
    [[nodiscard]] constexpr result<place> ask(task<machine>& sleeper, std::uint64_t index) {
        return reads_.ask(sleeper, number_, index, [&] { return cache::needs_no_page(index); });
    }
    /// The page with number `index`, read in if need be, with a reference for the caller: read(2)'s
    /// way. Sleeps; no lock is held. Errors: bad_address – behind the end, or closed; interrupted;
    /// no_memory; what fail() said.
    [[nodiscard]] constexpr result<pfn> bring(task<machine>& sleeper, std::uint64_t index,
                                              wait_mode mode) {
        for (;;) {
            auto const page = cache::find(index);
            if (page || page.error() != errc::again) return page;
            auto mine = ask(sleeper, index);
            if (!mine) return mine.error();
            mine->ticket().wait(mode);
            if (!mine->ticket().ready()) return errc::interrupted;
            if (mine->error() != errc::ok) return mine->error();
        }
    }

    // ---- the server -----------------------------------------------------------------------------

    /// The oldest page wanted that no server has taken yet, if there is one. Never waits.
    [[nodiscard]] constexpr std::optional<page_request> try_next_read() noexcept {
        return reads_.try_next();
    }
    /// Waits for one. Errors: interrupted; invalid_argument once closed.
    [[nodiscard]] constexpr result<page_request> next_read(task<machine>& server,
                                                           wait_mode mode) noexcept {
        return reads_.next(server, mode);
    }
    /// Answers `read`: fill(0, bytes) writes the contents, without any lock held; what lies behind
    /// the end of the file is zeroed. Those who wait are woken. Errors: no_memory – no frame; those
    /// who wait learn it too; invalid_argument – nobody asked, or it is answered already.
    template<PageFiller Fill>
    constexpr result<void> complete(page_request const& read, Fill&& fill) {
        if (!reads_.in_progress(read)) return errc::invalid_argument;
        auto const page = cache::allocate();
        auto outcome = page.error();
        if (page) {
            auto const bytes = cache::frames().bytes(*page);
            fill(std::uint64_t{0}, bytes);
            clear_behind_end(read.page, bytes);
            outcome = cache::add(read.page, *page).error();
        }
        // Somebody wrote the page meanwhile, or cut it off: nothing to wait for either way.
        auto const settled = outcome == errc::exists || outcome == errc::bad_address;
        if (settled) outcome = errc::ok;
        auto const known = reads_.finish(read, outcome);
        if (page) cache::frames().put(*page);
        return known ? outcome : errc::invalid_argument;
    }
    /// Answers `read` with an error, as a broken disk would: who waits in place fails with `why`.
    /// Error: invalid_argument, as above.
    constexpr result<void> fail(page_request const& read, errc why) noexcept {
        return reads_.finish(read, why) ? errc::ok : errc::invalid_argument;
    }
    /// The device is gone: what is not cached is bad_address from now on.
    constexpr void close() noexcept { reads_.close(); }

    /// Pages that are being read or wanted now, and how many were ever asked for.
    [[nodiscard]] constexpr std::uint32_t reads_outstanding() noexcept {
        return reads_.outstanding();
    }
    [[nodiscard]] constexpr std::uint64_t reads_started() noexcept { return reads_.started(); }

private:
    constexpr void clear_behind_end(std::uint64_t index, std::span<std::byte> bytes) noexcept {
        auto const size = cache::size();
        auto const start = index << page_shift;
        auto const inside = size > start ? std::min(size - start, std::uint64_t{bytes.size()}) : 0;
        std::ranges::fill(bytes.subspan(static_cast<std::size_t>(inside)), std::byte{0});
    }

    std::uint64_t number_;
    page_reads<machine> reads_{};
};

}  // namespace mmhold
