// SPDX-License-Identifier: BSL-1.0
#pragma once

// Catch2, whichever there is: Debian 12 has 2.13 (one header), newer systems 3.x (many).
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
