// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/observe/observer.hpp>

namespace mmhold {

/// Does not listen, has no state: every notify() to it compiles to nothing
/// (tests/codegen/observe.cpp compares the machine code).
struct null_observer {
    static constexpr bool enabled = false;
    /// Forgets the event. notify() does not even call it.
    constexpr void record(event const&) noexcept {}
};

static_assert(Observer<null_observer>);

}  // namespace mmhold
