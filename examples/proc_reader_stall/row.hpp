// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/errc.hpp>

#include "samples.hpp"

#include <cstdint>
#include <string_view>

namespace stall {

/// What a row is there to show.
enum class lesson : std::uint8_t {
    stalls,   ///< everybody waits for the pager
    refused,  ///< the caller gets an error at once
    flows,    ///< nobody waits, and the pages come
};

/// What one way of getting pages came to.
struct row {
    std::string_view name{};
    lesson shows{lesson::flows};
    std::uint64_t pages_wanted{0};
    std::uint64_t pages_held{0};
    mmhold::errc error{mmhold::errc::ok};  // the first one a caller met
    duration longest_call{0};              // of one gup call
    duration longest_hold{0};              // of the mm lock, by anybody
    wait_summary reader{};
    wait_summary writer{};
    std::uint64_t retries{0};
    std::uint64_t lock_drops{0};
    std::uint64_t lost_events{0};  // the log was too small: the numbers above are not exact
    std::uint64_t torn_walks{0};   // the reader saw a layout that never was
    mmhold::errc writer_error{mmhold::errc::ok};
    duration host_stall{0};  // how late the computer woke an idle thread, at worst
    unsigned attempts{1};    // the row was repeated because the computer stalled
};

}  // namespace stall
