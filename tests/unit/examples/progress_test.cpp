// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/progress.hpp"

#include "support/catch.hpp"

#include <array>
#include <cstdio>
#include <string>

using stall::progress;

namespace {

/// A file that vanishes, and what was written to it.
class scratch_file {
public:
    scratch_file() { REQUIRE(file_ != nullptr); }
    scratch_file(scratch_file const&) = delete;
    scratch_file& operator=(scratch_file const&) = delete;
    ~scratch_file() { std::fclose(file_); }

    std::FILE* get() const { return file_; }
    std::string text() const {
        std::rewind(file_);
        std::array<char, 256> bytes{};
        return {bytes.data(), std::fread(bytes.data(), 1, bytes.size(), file_)};
    }

private:
    std::FILE* file_{std::tmpfile()};
};

}  // namespace

TEST_CASE("progress: a short run says nothing") {
    scratch_file to;
    {
        progress short_run{to.get()};
        for (unsigned i = 0; i < 100; ++i) short_run.show("gup_locked", i, 100);
    }
    CHECK(to.text().empty());
}

TEST_CASE("progress: a line for good is plain text where there is no terminal") {
    scratch_file to;
    {
        progress run{to.get()};
        run.say("something happened");
    }
    CHECK(to.text() == "something happened\n");
}
