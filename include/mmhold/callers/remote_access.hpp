// SPDX-License-Identifier: BSL-1.0
#pragma once

// /proc/PID/mem and ptrace's PEEK and POKE (gup-semantics §1.4, §8.1 columns MR, MW, TP, TK).
//
//   variant   get_user_page_vma_remote: one page a time, FORCE, WRITE to write; the lock is kept
//             over all pages, so a userfault is an error
//   result    the bytes moved; io if there are none. ptrace moves a whole word or says io – after
//             it may have written the first part of a word that crosses into a bad page.
//
// FORCE reads whatever mprotect could make readable and writes private mappings only (§4.1). Where
// nothing is mapped, a stack above grows (stack_growth.hpp; §4.6): the lock is lost for that, and
// had again. After gup has failed a driver's own access method is asked
// (custom_source::read_remotely), one page's part at a time. The gate page, which has no vma, is
// refused although gup gets it (get_user_page_vma_remote, §1.1).

#include <mmhold/callers/user_range.hpp>
#include <mmhold/fault/custom_source.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/remote.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/space/stack_growth.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

namespace detail {

/// Where bytes come from and go to: a page that gup holds, or a driver's own memory.
template<class Space>
struct remote_reader {
    static constexpr gup_flags flags{gup_flag::force};
    std::span<std::byte> to;

    [[nodiscard]] constexpr std::uint64_t size() const noexcept { return to.size(); }
    [[nodiscard]] constexpr remote_reader part(std::uint64_t from, std::uint64_t bytes) const {
        return {to.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(bytes))};
    }
    constexpr void move(Space const& mm, pinned<typename Space::pool_type>& hold,
                        std::uint64_t offset) const {
        copy_from_pages(mm.frames(), hold.pages(), offset, to);
    }
    constexpr std::uint64_t ask(custom_source<Space>& driver, vma const& area, virt_addr at) const {
        return driver.read_remotely(area, at, to);
    }
};
template<class Space>
struct remote_writer {
    static constexpr gup_flags flags{gup_flag::force, gup_flag::write};
    std::span<std::byte const> from;

    [[nodiscard]] constexpr std::uint64_t size() const noexcept { return from.size(); }
    [[nodiscard]] constexpr remote_writer part(std::uint64_t first, std::uint64_t bytes) const {
        return {from.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(bytes))};
    }
    constexpr void move(Space const& mm, pinned<typename Space::pool_type>& hold,
                        std::uint64_t offset) const {
        copy_to_pages(mm.frames(), hold.pages(), offset, from);
        hold.release_dirty();
    }
    constexpr std::uint64_t ask(custom_source<Space>& driver, vma const& area, virt_addr at) const {
        return driver.write_remotely(area, at, from);
    }
};

/// One page's share of a transfer: how many bytes; 0: none can be had.
template<GupProfile P, class Space, class Cpu, class Held, class Mover>
constexpr std::uint64_t access_page(Space& mm, Cpu& me, Held const& held, virt_addr at,
                                    Mover mover) {
    auto const span = page_span::from(at.page_start(), page_count{1});
    auto const found = mm.find(at, held);
    if (!span || !found) return 0;
    std::array<pfn, 1> page{};
    if (gup_remote<P>(mm, me, held, *span, Mover::flags, page).pages != 0) {
        pinned hold{mm.frames(), page, holding::reference};
        mover.move(mm, hold, at.offset());
        return mover.size();
    }
    auto const& area = found->view(held);
    if (area.source == nullptr || area.source->kind() != source_kind::custom) return 0;
    return std::min(mover.ask(static_cast<custom_source<Space>&>(*area.source), area, at),
                    mover.size());
}

/// access_remote_vm: all of `mover`'s bytes at `at`, under one hold unless a stack grows. Answers
/// how many were moved.
template<GupProfile P, class Space, class Cpu, class Mover>
constexpr std::uint64_t access_remote(Space& mm, Cpu& me, virt_addr at, Mover const& mover) {
    auto held =
        take_shared<typename Space::machine>(mm.lock(), me.current(), wait_mode::killable);
    if (!held) return 0;
    std::uint64_t done = 0;
    while (done < mover.size()) {
        auto const place = at.plus(done);
        auto const here = std::min(page_size - place.offset(), mover.size() - done);
        if (!mm.find(place, *held)) {
            auto grown = expand_stack(*std::move(held), me.current(), mm, place);
            if (!grown) break;
            held = *std::move(grown);
        }
        auto const moved = access_page<P>(mm, me, *held, place, mover.part(done, here));
        if (moved == 0) break;
        done += moved;
    }
    return done;
}

/// mem_rw: a page's worth of bytes at a time, each under a hold of its own.
template<GupProfile P, class Space, class Cpu, class Mover>
constexpr result<std::uint64_t> proc_mem(Space& mm, Cpu& me, virt_addr at, Mover const& mover) {
    auto const bytes = mover.size();
    if (bytes != 0 && bytes > ~at.value) return errc::overflow;
    std::uint64_t done = 0;
    while (done < bytes) {
        auto const chunk = std::min(page_size, bytes - done);
        auto const moved = access_remote<P>(mm, me, at.plus(done), mover.part(done, chunk));
        if (moved == 0) break;
        done += moved;
    }
    if (done == 0 && bytes != 0) return errc::io;
    return done;
}

}  // namespace detail

/// pread of /proc/PID/mem at `at`. Answers the bytes read. Errors: io – not even one; overflow –
/// the range wraps. Mm lock of `mm`: not held by the caller, kept over each chunk, never lost.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> proc_mem_read(Space& mm, Cpu& me, virt_addr at,
                                              std::span<std::byte> to) {
    return detail::proc_mem<P>(mm, me, at, detail::remote_reader<Space>{to});
}

/// pwrite of /proc/PID/mem; everything else as proc_mem_read().
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> proc_mem_write(Space& mm, Cpu& me, virt_addr at,
                                               std::span<std::byte const> from) {
    return detail::proc_mem<P>(mm, me, at, detail::remote_writer<Space>{from});
}

/// PTRACE_PEEKDATA: fills `word` – eight bytes – from `at`. Error: io, and `word` may have changed.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> ptrace_peek(Space& mm, Cpu& me, virt_addr at, std::span<std::byte, 8> word) {
    auto const moved = detail::access_remote<P>(mm, me, at, detail::remote_reader<Space>{word});
    return moved == word.size() ? errc::ok : errc::io;
}

/// PTRACE_POKEDATA: writes `word` to `at`. Error: io; a part that could be written has been.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> ptrace_poke(Space& mm, Cpu& me, virt_addr at,
                                   std::span<std::byte const, 8> word) {
    auto const moved = detail::access_remote<P>(mm, me, at, detail::remote_writer<Space>{word});
    return moved == word.size() ? errc::ok : errc::io;
}

}  // namespace mmhold
