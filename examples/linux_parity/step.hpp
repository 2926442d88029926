// SPDX-License-Identifier: BSL-1.0
#pragma once

// One step of a script, and what it comes to: the common language of the running kernel
// (linux_side) and of the model (model_side). A script is run from an empty arena, by one thread.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

/// Operations. The callers of gup come first; the names are those of the grid's columns.
enum class op : std::uint8_t {
    load,            // tr  a load of the program
    store,           // tw
    vm_read,         // PR  process_vm_readv
    vm_write,        // PW
    mem_read,        // MR  pread of /proc/self/mem
    mem_write,       // MW
    peek,            // TP  ptrace
    poke,            // TK
    splice,          // VS  vmsplice
    direct_read,     // DR  O_DIRECT: memory is written
    direct_write,    // DW
    uring,           // UR  IORING_REGISTER_BUFFERS
    populate_read,   // OR
    populate_write,  // OW
    lock,            // ML  mlock, munlock
    wake,            // FW  futex, shared
    wake_op,         // FO
    wake_private,    // FP
    policy,          // GM  get_mempolicy
    copy_to,         // CU  read(2) from a pipe
    copy_from,       // CF  write(2) to a pipe
    map,             // and now what prepares the ground
    unmap,
    protect,
    discard,
    close_faults,
};
inline constexpr std::size_t callers = static_cast<std::size_t>(op::map);
inline constexpr std::size_t ops = static_cast<std::size_t>(op::close_faults) + 1;

/// What `map` maps.
enum class memory : std::uint8_t {
    own,          ///< private anonymous
    shared,       ///< shared anonymous
    faults,       ///< private, with a userfaultfd whose pager fills pages with 'u'
    faults_bus,   ///< with UFFD_FEATURE_SIGBUS
    faults_user,  ///< with UFFD_USER_MODE_ONLY
    secret,       ///< memfd_secret
    device,       ///< the process's own [vvar], wherever it is
};
inline constexpr std::size_t memories = static_cast<std::size_t>(memory::device) + 1;

/// A short name, as the grid and the scripts spell it.
std::string_view name_of(op what);
std::string_view name_of(memory what);
/// What the name stands for, in words.
std::string_view meaning_of(op what);

/// One step. Addresses are absolute; the arena is what most of them point to.
struct step {
    op what{op::load};
    memory of{memory::own};  ///< for map and close_faults
    unsigned prot{3};        ///< for map and protect: 1 read, 2 write, 4 execute
    std::uint64_t at{0};
    std::uint64_t bytes{0};

    friend bool operator==(step const&, step const&) = default;
};
using script = std::vector<step>;

/// "PR at=3+100 bytes=5000", with addresses in pages of the arena where they lie in it.
std::string to_text(step const& one);
/// The inverse. False: not a step.
bool from_text(std::string_view line, step& out);

/// Where scripts work.
inline constexpr std::uint64_t page_bytes = 4096;
inline constexpr std::uint64_t arena_pages = 32;
inline constexpr std::uint64_t arena_start = std::uint64_t{1} << 45U;
/// No transfer is longer: what a pipe holds.
inline constexpr std::uint64_t most_bytes = 16 * page_bytes;
inline constexpr std::uint64_t arena_page(std::uint64_t number) {
    return arena_start + number * page_bytes;
}

/// How a step ended, and how it left the arena.
struct answer {
    std::int64_t value{0};      ///< as the system call: a count, 0, or -errno
    std::int32_t signal{0};     ///< a load or store was answered by this signal
    std::int32_t code{0};       ///< and this si_code
    std::uint32_t events{0};    ///< of the userfaultfd
    std::uint32_t faults{0};    ///< minor faults
    std::uint64_t bytes{0};     ///< digest of what was read
    std::uint64_t present{0};   ///< bit n: page n of the arena is mapped
    std::uint64_t contents{0};  ///< digest of the arena's present pages
    bool ran{false};

    friend bool operator==(answer const&, answer const&) = default;
};

/// "4096", "EFAULT", "SIGSEGV/1".
std::string to_text(answer const& one);

/// A running checksum (FNV-1a).
std::uint64_t digest(std::span<std::byte const> bytes,
                     std::uint64_t before = 14695981039346656037U);
/// The bytes that the step number `seed` writes, from `from` on.
void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed);

}  // namespace parity
