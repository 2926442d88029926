// SPDX-License-Identifier: BSL-1.0
#include "options.hpp"

#include <charconv>
#include <chrono>
#include <string_view>

namespace oracle {

namespace {

std::uint64_t today() {
    auto const now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::hours>(now).count() /
                                      24);
}

bool read_number(std::string_view text, std::uint64_t& out) {
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

bool read_mode(std::string_view word, options& out) {
    using mode = options::mode;
    if (word == "--list") return out.wanted = mode::list, true;
    if (word == "--deviations") return out.wanted = mode::deviations, true;
    if (word == "--duets") return out.wanted = mode::duets, true;
    if (word == "--pins") return out.pins = true;
    if (word == "--model-alone") return out.model_alone = true;
    if (word == "--self-test") return out.wanted = mode::self_test, true;
    return false;
}

bool read_value(std::string_view word, std::string const& value, options& out) {
    if (word == "--seed" && value == "date") return out.seed = today(), true;
    if (word == "--seed") return read_number(value, out.seed);
    if (word == "--scripts") return read_number(value, out.scripts);
    if (word == "--steps") return read_number(value, out.steps);
    if (word == "--ops") return out.ops_wanted = value, true;
    if (word == "--kinds") return out.kinds_wanted = value, true;
    if (word == "--json") return out.json = value, true;
    if (word == "--folder") return out.folder = value, true;
    if (word != "--replay") return false;
    out.wanted = options::mode::replay;
    return out.replay = value, true;
}

}  // namespace

bool read_options(int count, char** words, options& out) {
    for (int i = 1; i < count; ++i) {
        if (read_mode(words[i], out)) continue;
        if (i + 1 == count || !read_value(words[i], words[i + 1], out)) return false;
        ++i;
    }
    return true;
}

std::string usage() {
    return "usage: mmhold_kernel_oracle [--seed N|date] [--scripts K | --steps N] [--ops PR,VS,...]\n"
           "                            [--kinds own,...] [--json FILE] [--folder DIR] [--pins]\n"
           "       mmhold_kernel_oracle --duets [--seed N|date] [--scripts K] [--ops PR,...]\n"
           "       either with --model-alone: nothing is compared, but rules and frames are watched\n"
           "       mmhold_kernel_oracle --replay FILE | --deviations | --self-test | --list\n";
}

}  // namespace oracle
