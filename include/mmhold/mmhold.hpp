// SPDX-License-Identifier: BSL-1.0
#pragma once

// All of mmhold except the bridges to other libraries (adapt/), the explorer (explore/) and the
// laws (laws/).

#include <mmhold/concepts.hpp>
#include <mmhold/fwd.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/gup_result.hpp>
#include <mmhold/vocab/page_span.hpp>
