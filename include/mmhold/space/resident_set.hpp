// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/space/frame.hpp>

#include <cstdint>

namespace mmhold {

/// How many pages an address space has mapped (VmRSS), by what they are. The zero page, pages
/// without a frame and those of hugetlb do not count.
struct resident_pages {
    std::uint64_t anonymous{0};  ///< RssAnon
    std::uint64_t file{0};       ///< RssFile
    std::uint64_t shared{0};     ///< RssShmem

    /// VmRSS.
    [[nodiscard]] constexpr std::uint64_t total() const noexcept {
        return anonymous + file + shared;
    }
    friend constexpr bool operator==(resident_pages const&, resident_pages const&) = default;
};

/// The counters behind it. Any number of cpus may count at once; the sums are exact when nobody
/// does.
template<Machine M>
class resident_set {
public:
    /// Nothing is mapped.
    constexpr resident_set() noexcept { M::name(this, "resident pages"); }
    resident_set(resident_set const&) = delete;
    resident_set& operator=(resident_set const&) = delete;
    constexpr ~resident_set() = default;

    /// `pages` more pages of this kind are mapped.
    constexpr void add(frame_kind kind, frame_attributes attributes, std::uint64_t pages) noexcept {
        if (attributes.has(frame_attribute::hugetlb)) return;
        (void)counter(kind, attributes).fetch_add(pages, relaxed);
    }
    /// As many fewer.
    constexpr void remove(frame_kind kind, frame_attributes attributes,
                          std::uint64_t pages) noexcept {
        if (attributes.has(frame_attribute::hugetlb)) return;
        auto const before = counter(kind, attributes).fetch_sub(pages, relaxed);
        M::expect(before >= pages, "resident_set: more pages were unmapped than mapped");
    }
    /// The counts now.
    [[nodiscard]] constexpr resident_pages now() const noexcept {
        return {anonymous_.load(relaxed), file_.load(relaxed), shared_.load(relaxed)};
    }

private:
    using word = typename M::template atomic<std::uint64_t>;

    [[nodiscard]] constexpr word& counter(frame_kind kind, frame_attributes attributes) noexcept {
        if (kind == frame_kind::anonymous) return anonymous_;
        return attributes.has(frame_attribute::shmem) ? shared_ : file_;
    }

    word anonymous_{};
    word file_{};
    word shared_{};
};

}  // namespace mmhold
