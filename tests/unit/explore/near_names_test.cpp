// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/near_names.hpp>

using namespace mmhold::detail;

TEST_CASE("letters_apart: put in, left out, exchanged", "[explore]") {
    CHECK(letters_apart("", "") == 0);
    CHECK(letters_apart("abc", "abc") == 0);
    CHECK(letters_apart("abc", "abxc") == 1);
    CHECK(letters_apart("abc", "ac") == 1);
    CHECK(letters_apart("kitten", "sitting") == 3);
}

TEST_CASE("near_names: the nearest first, at most three, each once, or none", "[explore]") {
    std::vector<std::string> const known{"rw_lock.two", "rw_lock.tree", "spin", "rw_lock.two"};
    CHECK(near_names("rw_lock.twoo", known).front() == "rw_lock.two");
    CHECK(near_names("rw_lock", known).size() == 2);
    CHECK(near_names("qqqqqqqqq", known).empty());
    CHECK(did_you_mean("spim", known) == " (did you mean spin?)");
    CHECK(did_you_mean("qqqqqqqqq", known).empty());
}
