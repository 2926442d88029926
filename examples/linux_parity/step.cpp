// SPDX-License-Identifier: BSL-1.0
#include "step.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <sstream>

namespace parity {

namespace {

/// Which fields a step has beside `at` and `bytes`.
enum class fields : std::uint8_t {
    range,           // nothing else
    none,            // not even these
    mapping,         // of, prot
    rights,          // prot
    source,          // of, and no range
    source_range,    // of, how
    target,          // to, to_bytes, how
    source_target,   // of, to, how
    end,             // to_bytes
    how,             // how, and no range
    numbered_range,  // how
};

struct op_words {
    std::string_view name;
    std::string_view meaning;
    area does{area::core};
    fields has{fields::range};
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
    {"map", "mmap", area::core, fields::mapping},
    {"unmap", "munmap"},
    {"protect", "mprotect", area::core, fields::rights},
    {"discard", "MADV_DONTNEED"},
    {"close", "close(userfaultfd)", area::core, fields::source},
    {"fork", "fork; the child does nothing, or forks", area::core, fields::how},
    {"reap", "all children end", area::core, fields::none},
    {"keep", "vmsplice to a pipe that is read later"},
    {"drain", "reading that pipe", area::core, fields::none},
    {"register", "IORING_REGISTER_BUFFERS, kept"},
    {"let_go", "IORING_UNREGISTER_BUFFERS", area::core, fields::none},
    {"truncate", "ftruncate of what is mapped there", area::core, fields::end},
    {"awaken", "UFFDIO_WAKE", area::uffd, fields::source_range},
    {"guard", "MADV_GUARD_INSTALL", area::advice},
    {"unguard", "MADV_GUARD_REMOVE", area::advice},
    {"lazy_free", "MADV_FREE", area::advice},
    {"dont_fork", "MADV_DONTFORK", area::advice},
    {"do_fork", "MADV_DOFORK", area::advice},
    {"wipe_on_fork", "MADV_WIPEONFORK", area::advice},
    {"keep_on_fork", "MADV_KEEPONFORK", area::advice},
    {"remove", "MADV_REMOVE", area::advice},
    {"page_out", "MADV_PAGEOUT", area::advice},
    {"remap", "mremap", area::remap, fields::target},
    {"wp_on", "UFFDIO_WRITEPROTECT", area::uffd, fields::source_range},
    {"wp_off", "UFFDIO_WRITEPROTECT, off", area::uffd, fields::source_range},
    {"fill", "UFFDIO_COPY", area::uffd, fields::source_range},
    {"zero", "UFFDIO_ZEROPAGE", area::uffd, fields::source_range},
    {"go_on", "UFFDIO_CONTINUE", area::uffd, fields::source_range},
    {"poison", "UFFDIO_POISON", area::uffd, fields::source_range},
    {"move", "UFFDIO_MOVE", area::uffd, fields::source_target},
    {"unregister", "UFFDIO_UNREGISTER", area::uffd, fields::source_range},
    {"collapse", "MADV_COLLAPSE", area::large},
    {"punch", "fallocate, PUNCH_HOLE", area::large},
    {"advise", "madvise, by number", area::advice, fields::numbered_range},
    {"hear", "read(2) of a userfaultfd", area::told, fields::source},
    {"child", "what a forked child has read", area::told, fields::none},
    {"end_call", "SIGKILL for the caller", area::told, fields::none},
}};
struct memory_words {
    std::string_view name;
    area maps{area::core};
};
constexpr std::array<memory_words, memories> memory_names{{
    {"own"},
    {"shared"},
    {"faults"},
    {"faults_bus"},
    {"faults_user"},
    {"faults_wp", area::uffd},
    {"faults_shared", area::uffd},
    {"faults_minor", area::uffd},
    {"faults_told", area::uffd},
    {"faults_removed", area::uffd},
    {"faults_told_shared", area::uffd},
    {"faults_twin", area::told},
    {"secret"},
    {"memfd"},
    {"memfd_own"},
    {"memfd_end"},
    {"memfd_end_own"},
    {"file"},
    {"file_own"},
    {"file_ro", area::special},
    {"dev_zero", area::special},
    {"droppable", area::advice},
    {"stack"},
    {"ring", area::special},
    {"perf", area::special},
    {"large", area::large},
    {"hugetlb", area::large},
    {"hugetlb_shared", area::large},
    {"hugetlbfs", area::large},
    {"hugetlbfs_own", area::large},
    {"vdso", area::special},
    {"device"},
}};
op_words const& words_of(op what) { return op_names[static_cast<std::size_t>(what)]; }

std::string place(std::uint64_t at) {
    std::ostringstream out;
    auto const in_large = at >= large_arena_start && at <= large_page(large_arena_pages);
    auto const in_small = at >= arena_start && at <= arena_page(arena_pages);
    if (!in_large && !in_small) {
        out << "0x" << std::hex << at;
        return out.str();
    }
    if (in_large) out << 'L';
    out << (at - (in_large ? large_arena_start : arena_start)) / page_bytes;
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
    auto const in_large = text.starts_with('L');
    if (in_large) text.remove_prefix(1);
    auto const plus = text.find('+');
    std::uint64_t page = 0;
    std::uint64_t offset = 0;
    if (!read_number(text.substr(0, plus), page)) return false;
    if (plus != text.npos && !read_number(text.substr(plus + 1), offset)) return false;
    out = (in_large ? large_page(page) : arena_page(page)) + offset;
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
    if (key == "to") return read_place(value, out.to);
    if (key == "to_bytes") return read_number(value, out.to_bytes);
    if (key == "how") {
        std::uint64_t how = 0;
        auto const read = read_number(value, how);
        out.how = static_cast<unsigned>(how);
        return read;
    }
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
        if (memory_names[i].name == value) return out.of = static_cast<memory>(i), true;
    }
    return false;
}

}  // namespace

std::string_view name_of(op what) { return words_of(what).name; }
std::string_view meaning_of(op what) { return words_of(what).meaning; }
bool names_server(op what) {
    auto const has = words_of(what).has;
    return has == fields::source || has == fields::source_range || has == fields::source_target;
}
area area_of(op what) { return words_of(what).does; }
std::string_view name_of(memory what) { return memory_names[static_cast<std::size_t>(what)].name; }
area area_of(memory what) { return memory_names[static_cast<std::size_t>(what)].maps; }

std::string to_text(step const& one) {
    auto const has = words_of(one.what).has;
    std::ostringstream out;
    out << name_of(one.what);
    auto const source = has == fields::source || has == fields::mapping ||
                        has == fields::source_range || has == fields::source_target;
    if (source) out << " of=" << name_of(one.of);
    if (has == fields::mapping || has == fields::rights) out << " prot=" << rights(one.prot);
    if (has == fields::how && one.how != 0) out << " how=" << one.how;
    auto const reads = one.what == op::fork && one.how == fork_reader;
    if (reads) out << " at=" << place(one.at);
    if (has == fields::none || has == fields::source || has == fields::how) return out.str();
    out << " at=" << place(one.at) << " bytes=" << one.bytes;
    if (has == fields::target || has == fields::source_target) out << " to=" << place(one.to);
    if (has == fields::target || has == fields::end) out << " to_bytes=" << one.to_bytes;
    if (has == fields::target || has == fields::source_range || has == fields::source_target ||
        has == fields::numbered_range)
        out << " how=" << one.how;
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

std::string difference(answer const& one, answer const& other) {
    std::string out;
    auto const note = [&](bool same, char const* what) {
        if (!same) out += (out.empty() ? "" : ", ") + std::string{what};
    };
    note(one.value == other.value, "result");
    note(one.signal == other.signal && one.code == other.code, "signal");
    note(one.bytes == other.bytes, "bytes read");
    note(one.present == other.present && one.large == other.large, "presence");
    note(one.contents == other.contents && one.large_contents == other.large_contents, "memory");
    note(one.events == other.events, "events");
    note(one.lost == other.lost, "lost frames");
    return out;
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

std::uint64_t digest_of_page(std::span<std::byte const> page, std::uint64_t number,
                             std::uint64_t before) {
    static constexpr std::array<std::byte, page_bytes> zeroes{};
    auto const what = (before ^ number) * 1099511628211U;
    return std::memcmp(page.data(), zeroes.data(), page.size()) == 0 ? what : digest(page, what);
}

void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>((seed * 37 + i * 5 + i / page_bytes * 11 + 1) & 0xffU);
    }
}

}  // namespace parity
