// SPDX-License-Identifier: BSL-1.0
#pragma once

// The layout of a process as the kernel prints it in /proc/PID/maps (proc_pid_maps(5)), one mapping
// a line:
//
//   7f3c5a000000-7f3c5a021000 rw-p 00000000 00:00 0        [heap]
//   start        end          perm offset   dev   inode    path: may be absent or contain blanks

#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/address.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stall {

enum class sharing : std::uint8_t { private_copy, shared };

/// What a mapping is: the library's own word for it.
using region_kind = mmhold::vma_kind;

[[nodiscard]] constexpr std::string_view kind_name(region_kind kind) {
    switch (kind) {
        case region_kind::anonymous: return "anonymous";
        case region_kind::file: return "file";
        case region_kind::shmem: return "shared memory";
        case region_kind::stack: return "stack";
        case region_kind::heap: return "heap";
        case region_kind::vdso: return "vdso";
        case region_kind::vvar: return "vvar";
        case region_kind::vsyscall: return "vsyscall";
        case region_kind::other: return "other";
    }
    return "?";
}

/// One line of a maps file.
struct maps_region {
    std::size_t line{0};  // counted from 1
    mmhold::virt_addr start{};
    mmhold::virt_addr end{};  // one past the last byte
    mmhold::protection prot{};
    sharing share{sharing::private_copy};
    std::uint64_t offset{0};
    std::uint32_t device_major{0};
    std::uint32_t device_minor{0};
    std::uint64_t inode{0};
    std::string path{};
    region_kind kind{region_kind::anonymous};

    [[nodiscard]] std::uint64_t pages() const {
        return (end.value - start.value) / mmhold::page_size;
    }
};

/// Why a text is not a maps file.
struct maps_error {
    std::size_t line{0};
    std::string reason{};
    std::string text{};  // the whole line
};

struct maps_content {
    std::vector<maps_region> regions{};
    std::optional<maps_error> error{};  // then regions holds the lines before it
};

namespace detail {

inline bool starts_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

/// Takes fields off the front of a line.
class field_reader {
public:
    explicit field_reader(std::string_view line) : rest_{line} {}

    /// Digits of `base` that fit into 64 bits; at least one.
    std::optional<std::uint64_t> number(unsigned base) {
        std::uint64_t value = 0;
        std::size_t used = 0;
        for (; used < rest_.size(); ++used) {
            auto const digit = digit_of(rest_[used]);
            if (digit >= base) break;
            if (value > (~std::uint64_t{0} - digit) / base) return std::nullopt;
            value = value * base + digit;
        }
        if (used == 0) return std::nullopt;
        rest_.remove_prefix(used);
        return value;
    }
    bool literal(char wanted) {
        if (rest_.empty() || rest_.front() != wanted) return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::string_view take(std::size_t length) {
        auto const out = rest_.substr(0, length);
        rest_.remove_prefix(out.size());
        return out;
    }
    void skip_blanks() {
        while (literal(' ') || literal('\t')) {}
    }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }

private:
    static unsigned digit_of(char c) {
        if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
        if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
        return 255;
    }

    std::string_view rest_;
};

/// "rw-p": reads into `region`; false if it is not four of the permitted characters.
inline bool read_permissions(std::string_view text, maps_region& region) {
    using enum mmhold::protection_bit;
    if (text.size() != 4) return false;
    auto const letter = [text](std::size_t at, char set) {
        return text[at] == set || text[at] == '-';
    };
    if (!letter(0, 'r') || !letter(1, 'w') || !letter(2, 'x')) return false;
    if (text[3] != 'p' && text[3] != 's') return false;
    region.prot = mmhold::prot::none.with_if(text[0] == 'r', read)
                      .with_if(text[1] == 'w', write)
                      .with_if(text[2] == 'x', execute);
    region.share = text[3] == 's' ? sharing::shared : sharing::private_copy;
    return true;
}

/// Each of these reads one field and answers what is wrong with it, or nullptr.
inline char const* read_range(field_reader& from, maps_region& region) {
    auto const start = from.number(16);
    if (!start || !from.literal('-')) return "expected a range START-END in hexadecimal";
    auto const end = from.number(16);
    if (!end) return "expected a range START-END in hexadecimal";
    region.start = {*start};
    region.end = {*end};
    if (!region.start.page_aligned() || !region.end.page_aligned()) {
        return "the range does not consist of whole 4096-byte pages";
    }
    return *start < *end ? nullptr : "the range is empty or runs backwards";
}

inline char const* read_permission_field(field_reader& from, maps_region& region) {
    if (!from.literal(' ')) return "expected a blank after the range";
    if (!read_permissions(from.take(4), region)) return "expected permissions like rw-p";
    return nullptr;
}

inline char const* read_offset(field_reader& from, maps_region& region) {
    auto const offset = from.literal(' ') ? from.number(16) : std::nullopt;
    if (!offset) return "expected the file offset in hexadecimal";
    region.offset = *offset;
    return nullptr;
}

inline char const* read_device(field_reader& from, maps_region& region) {
    constexpr auto expected = "expected the device as MAJOR:MINOR in hexadecimal";
    constexpr std::uint64_t most = ~std::uint32_t{0};
    auto const high = from.literal(' ') ? from.number(16) : std::nullopt;
    if (!high || *high > most || !from.literal(':')) return expected;
    auto const low = from.number(16);
    if (!low || *low > most) return expected;
    region.device_major = static_cast<std::uint32_t>(*high);
    region.device_minor = static_cast<std::uint32_t>(*low);
    return nullptr;
}

inline char const* read_inode_and_path(field_reader& from, maps_region& region) {
    auto const inode = from.literal(' ') ? from.number(10) : std::nullopt;
    if (!inode || (!from.at_end() && !from.literal(' '))) return "expected the inode in decimal";
    region.inode = *inode;
    from.skip_blanks();
    region.path = from.rest();
    return nullptr;
}

inline region_kind kind_in_brackets(std::string_view path) {
    if (path == "[heap]") return region_kind::heap;
    if (path == "[stack]" || starts_with(path, "[stack:")) return region_kind::stack;
    if (path == "[vdso]") return region_kind::vdso;
    if (starts_with(path, "[vvar")) return region_kind::vvar;
    if (path == "[vsyscall]") return region_kind::vsyscall;
    if (starts_with(path, "[anon:")) return region_kind::anonymous;
    if (starts_with(path, "[anon_shmem:")) return region_kind::shmem;
    return region_kind::other;
}

}  // namespace detail

/// What a mapping with this path is. Shared anonymous memory shows up as a deleted /dev/zero,
/// System V segments and memfds under names of their own.
[[nodiscard]] inline region_kind kind_of(std::string_view path) {
    using detail::starts_with;
    if (path.empty()) return region_kind::anonymous;
    if (path.front() == '[') return detail::kind_in_brackets(path);
    for (auto const* shared : {"/dev/zero", "/dev/shm/", "/memfd:", "/SYSV"}) {
        if (starts_with(path, shared)) return region_kind::shmem;
    }
    if (starts_with(path, "/dev/") || path.front() != '/') return region_kind::other;
    return region_kind::file;
}

/// Reads one line. `region.line` is left to the caller.
[[nodiscard]] inline char const* parse_maps_line(std::string_view line, maps_region& region) {
    detail::field_reader from{line};
    for (auto const read : {detail::read_range, detail::read_permission_field, detail::read_offset,
                            detail::read_device, detail::read_inode_and_path}) {
        if (auto const* wrong = read(from, region)) return wrong;
    }
    region.kind = kind_of(region.path);
    return nullptr;
}

/// Reads a whole maps file, up to the first line that is none.
[[nodiscard]] inline maps_content parse_maps(std::string_view text) {
    maps_content out;
    mmhold::virt_addr free_from{0};
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto const end = text.find('\n');
        auto const line = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);

        maps_region region;
        region.line = number;
        auto const* wrong = parse_maps_line(line, region);
        if (wrong == nullptr && region.start < free_from) {
            wrong = "the range begins before the one above it ends";
        }
        if (wrong != nullptr) {
            out.error = maps_error{number, wrong, std::string{line}};
            return out;
        }
        free_from = region.end;
        out.regions.push_back(std::move(region));
    }
    return out;
}

/// `text` fit to be shown on a terminal: at most 100 characters, control characters as \xNN.
[[nodiscard]] inline std::string printable(std::string_view text) {
    constexpr std::size_t longest = 100;
    std::string out;
    for (char const c : text.substr(0, longest)) {
        auto const code = static_cast<unsigned char>(c);
        if (code >= ' ' && code != 127) {
            out += c;
        } else {
            char escaped[5];
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(code));
            out += escaped;
        }
    }
    return text.size() > longest ? out + "…" : out;
}

/// "FILE:12: expected permissions like rw-p: '…'".
[[nodiscard]] inline std::string message(maps_error const& error, std::string_view file) {
    return std::string{file} + ":" + std::to_string(error.line) + ": " + error.reason + ": '" +
           printable(error.text) + "'";
}

}  // namespace stall
