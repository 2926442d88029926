// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/layout.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <unistd.h>

using namespace stall;

namespace {

bool contains(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// A file that exists while this lives.
class temporary_file {
public:
    explicit temporary_file(std::string_view content) {
        auto const file = mkstemp(path_);
        REQUIRE(file >= 0);
        REQUIRE(write(file, content.data(), content.size()) ==
                static_cast<ssize_t>(content.size()));
        close(file);
    }
    ~temporary_file() { unlink(path_); }
    [[nodiscard]] std::string path() const { return path_; }

private:
    char path_[32] = "/tmp/mmhold_layout_XXXXXX";
};

}  // namespace

TEST_CASE("layout of this process has its stack and its code") {
    auto const own = read_layout("/proc/self/maps");
    REQUIRE(own.error.empty());
    auto const here = reinterpret_cast<std::uintptr_t>(&read_layout_of);
    auto const holds = [here](maps_region const& one) {
        return one.start.value <= here && here < one.end.value;
    };
    auto const found = std::find_if(own.regions.begin(), own.regions.end(), holds);
    REQUIRE(found != own.regions.end());
    CHECK(found->prot.has(mmhold::protection_bit::execute));
    CHECK(std::any_of(own.regions.begin(), own.regions.end(),
                      [](maps_region const& one) { return one.kind == region_kind::stack; }));
}

TEST_CASE("layout by pid is that of the process") {
    auto const own = read_layout_of(static_cast<std::int32_t>(getpid()));
    CHECK(own.error.empty());
    CHECK(own.regions.size() > 3);
}

TEST_CASE("layout of a pid that nobody has says so") {
    auto const nobody = read_layout_of(std::numeric_limits<std::int32_t>::max());
    CHECK(nobody.error == "no process has the pid 2147483647");
}

TEST_CASE("layout from a file that cannot be read says why") {
    CHECK(contains(read_layout("/does/not/exist").error, "No such file or directory"));
    CHECK(contains(read_layout("/tmp").error, "Is a directory"));
}

TEST_CASE("layout from an empty file says that there are no mappings") {
    temporary_file const empty{""};
    CHECK(contains(read_layout(empty.path()).error, "no mappings"));
}

TEST_CASE("layout from a malformed file names file, line and text") {
    temporary_file const broken{"1000-2000 r--p 0 0:0 0\n1000-zzz\n"};
    auto const got = read_layout(broken.path());
    CHECK(contains(got.error, broken.path() + ":2: "));
    CHECK(contains(got.error, "'1000-zzz'"));
}

TEST_CASE("layout from something endless stops reading") {
    CHECK(contains(read_layout("/dev/zero").error, "not a maps file"));
}
