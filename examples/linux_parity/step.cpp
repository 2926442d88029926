// SPDX-License-Identifier: BSL-1.0
#include "step.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <sstream>

namespace parity {

namespace {

struct op_words {
    std::string_view name;
    std::string_view meaning;
};
constexpr std::array<op_words, ops> op_names{{
    {"tr", "a load"},
    {"tw", "a store"},
    {"PR", "process_vm_readv"},
    {"PW", "process_vm_writev"},
    {"MR", "read of /proc/self/mem"},
    {"MW", "write to /proc/self/mem"},
    {"TP", "PTRACE_PEEKDATA"},
    {"TK", "PTRACE_POKEDATA"},
    {"VS", "vmsplice to a pipe"},
    {"DR", "O_DIRECT read (writes memory)"},
    {"DW", "O_DIRECT write (reads memory)"},
    {"UR", "io_uring register buffers"},
    {"OR", "MADV_POPULATE_READ"},
    {"OW", "MADV_POPULATE_WRITE"},
    {"ML", "mlock"},
    {"FW", "FUTEX_WAKE, shared"},
    {"FO", "FUTEX_WAKE_OP, shared"},
    {"FP", "FUTEX_WAKE_OP, private"},
    {"GM", "get_mempolicy(NODE, ADDR)"},
    {"CU", "read(2) from a pipe"},
    {"CF", "write(2) to a pipe"},
    {"map", "mmap"},
    {"unmap", "munmap"},
    {"protect", "mprotect"},
    {"discard", "MADV_DONTNEED"},
    {"close", "close(userfaultfd)"},
}};
constexpr std::array<std::string_view, memories> memory_names{
    "own", "shared", "faults", "faults_bus", "faults_user", "secret", "device"};

std::string place(std::uint64_t at) {
    std::ostringstream out;
    if (at < arena_start || at > arena_page(arena_pages)) {
        out << "0x" << std::hex << at;
        return out.str();
    }
    out << (at - arena_start) / page_bytes;
    if (at % page_bytes != 0) out << "+" << at % page_bytes;
    return out.str();
}

bool read_number(std::string_view text, std::uint64_t& out) {
    auto const hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    auto const [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), out, hex ? 16 : 10);
    return error == std::errc{} && end == text.data() + text.size();
}

bool read_place(std::string_view text, std::uint64_t& out) {
    if (text.starts_with("0x")) return read_number(text, out);
    auto const plus = text.find('+');
    std::uint64_t page = 0;
    std::uint64_t offset = 0;
    if (!read_number(text.substr(0, plus), page)) return false;
    if (plus != text.npos && !read_number(text.substr(plus + 1), offset)) return false;
    out = arena_page(page) + offset;
    return true;
}

std::string rights(unsigned prot) {
    std::string out;
    if ((prot & 1U) != 0) out += 'r';
    if ((prot & 2U) != 0) out += 'w';
    if ((prot & 4U) != 0) out += 'x';
    return out.empty() ? "none" : out;
}

bool read_field(std::string_view key, std::string_view value, step& out) {
    if (key == "at") return read_place(value, out.at);
    if (key == "bytes") return read_number(value, out.bytes);
    if (key == "prot") {
        out.prot = 0;
        if (value == "none") return true;
        for (char const letter : value) {
            auto const bit = std::string_view{"rwx"}.find(letter);
            if (bit == std::string_view::npos) return false;
            out.prot |= 1U << bit;
        }
        return true;
    }
    if (key != "of") return false;
    for (std::size_t i = 0; i < memories; ++i) {
        if (memory_names[i] == value) return out.of = static_cast<memory>(i), true;
    }
    return false;
}

}  // namespace

std::string_view name_of(op what) { return op_names[static_cast<std::size_t>(what)].name; }
std::string_view name_of(memory what) { return memory_names[static_cast<std::size_t>(what)]; }
std::string_view meaning_of(op what) { return op_names[static_cast<std::size_t>(what)].meaning; }

std::string to_text(step const& one) {
    std::ostringstream out;
    out << name_of(one.what);
    if (one.what == op::map || one.what == op::close_faults) out << " of=" << name_of(one.of);
    if (one.what == op::map || one.what == op::protect) out << " prot=" << rights(one.prot);
    if (one.what != op::close_faults) out << " at=" << place(one.at) << " bytes=" << one.bytes;
    return out.str();
}

bool from_text(std::string_view line, step& out) {
    std::istringstream words{std::string{line}};
    std::string word;
    if (!(words >> word)) return false;
    out = {};
    std::size_t index = 0;
    while (index < ops && op_names[index].name != word) ++index;
    if (index == ops) return false;
    out.what = static_cast<op>(index);
    while (words >> word) {
        auto const equals = word.find('=');
        if (equals == word.npos) return false;
        auto const text = std::string_view{word};
        if (!read_field(text.substr(0, equals), text.substr(equals + 1), out)) return false;
    }
    return true;
}

std::string to_text(answer const& one) {
    if (!one.ran) return "did not run";
    std::ostringstream out;
    if (one.signal != 0) {
        out << (one.signal == 11  ? "SIGSEGV"
                : one.signal == 7 ? "SIGBUS"
                                  : "signal")
            << "/" << one.code << " after " << one.value;
        return out.str();
    }
    if (one.value >= 0) {
        out << one.value;
    } else {
        out << strerrorname_np(static_cast<int>(-one.value));
    }
    return out.str();
}

std::uint64_t digest(std::span<std::byte const> bytes, std::uint64_t before) {
    for (auto const byte : bytes) {
        before = (before ^ static_cast<std::uint64_t>(byte)) * 1099511628211U;
    }
    return before;
}

void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>((seed * 37 + i * 5 + i / page_bytes * 11 + 1) & 0xffU);
    }
}

}  // namespace parity
