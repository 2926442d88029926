// SPDX-License-Identifier: BSL-1.0
// Has no code: carries the precompiled support/catch.hpp that every test executable reuses.
