// SPDX-License-Identifier: BSL-1.0
#pragma once

// The concepts of the library, and nothing that models them: no Boost, no <atomic>, no <thread>.

#include <mmhold/machine/machine.hpp>
