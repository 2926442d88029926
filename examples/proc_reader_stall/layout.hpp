// SPDX-License-Identifier: BSL-1.0
#pragma once

// Where a layout comes from: a maps file, or the one of a running process.

#include "maps_file.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stall {

/// A process's layout, or a sentence saying why it cannot be had.
struct layout {
    std::string source{};  // the file it was read from
    std::vector<maps_region> regions{};
    std::string error{};  // empty: here it is
};

namespace detail {

struct close_file {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using open_file = std::unique_ptr<std::FILE, close_file>;

struct file_content {
    std::string bytes{};
    std::string error{};  // empty: read to the end
};

inline file_content read_file(std::string const& path) {
    constexpr std::size_t most = std::size_t{64} << 20;  // 65530 long lines are less
    file_content out;
    open_file const file{std::fopen(path.c_str(), "rb")};
    if (!file) {
        out.error = path + ": " + std::strerror(errno);
        return out;
    }
    std::vector<char> piece(std::size_t{1} << 16);
    while (auto const got = std::fread(piece.data(), 1, piece.size(), file.get())) {
        out.bytes.append(piece.data(), got);
        if (out.bytes.size() > most) {
            out.error = path + ": larger than 64 MiB: not a maps file";
            return out;
        }
    }
    if (std::ferror(file.get()) != 0) out.error = path + ": " + std::strerror(errno);
    return out;
}

}  // namespace detail

/// Reads and parses the maps file `path`.
[[nodiscard]] inline layout read_layout(std::string const& path) {
    layout out;
    out.source = path;
    auto const file = detail::read_file(path);
    out.error = file.error;
    if (!out.error.empty()) return out;
    auto content = parse_maps(file.bytes);
    if (content.error) {
        out.error = message(*content.error, path);
    } else if (content.regions.empty()) {
        out.error = path + ": no mappings (an empty file; a kernel thread has none)";
    }
    out.regions = std::move(content.regions);
    return out;
}

/// Reads the layout of the running process `pid`.
[[nodiscard]] inline layout read_layout_of(std::int32_t pid) {
    auto const process = "/proc/" + std::to_string(pid);
    auto out = read_layout(process + "/maps");
    if (out.error.empty()) return out;
    if (!detail::open_file{std::fopen((process + "/stat").c_str(), "rb")}) {
        out.error = "no process has the pid " + std::to_string(pid);
    }
    return out;
}

}  // namespace stall
