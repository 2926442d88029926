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

inline constexpr std::uint64_t page_bytes = 4096;

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
    fork,   // a child that sits there, with all memory shared by copy-on-write; how: its child
    reap,   // all children end
    keep,   // vmsplice into a pipe that is not read yet
    drain,  // reads it
    register_buffers,  // io_uring keeps the range pinned
    let_go,            // and not any more
    truncate,   // the object mapped at `at` ends behind so many of the mapping's pages: to_bytes
    awaken,     // UFFDIO_WAKE
    guard,      // MADV_GUARD_INSTALL; from here on linux_advice, model_advice
    unguard,    // MADV_GUARD_REMOVE
    lazy_free,  // MADV_FREE
    dont_fork,
    do_fork,
    wipe_on_fork,
    keep_on_fork,
    remove,    // MADV_REMOVE
    page_out,  // MADV_PAGEOUT
    remap,     // mremap: from at/bytes to to/to_bytes, `how` is its flags; linux_remap, model_remap
    wp_on,     // UFFDIO_WRITEPROTECT; from here on linux_uffd, model_uffd. `of`: whose descriptor
    wp_off,
    fill,        // UFFDIO_COPY of 'f'
    zero,        // UFFDIO_ZEROPAGE
    go_on,       // UFFDIO_CONTINUE
    poison,      // UFFDIO_POISON
    move,        // UFFDIO_MOVE: at/bytes is the source, `to` the destination
    unregister,  // UFFDIO_UNREGISTER
    collapse,    // MADV_COLLAPSE; linux_large, model_large
    punch,       // fallocate(PUNCH_HOLE) of what is mapped at `at`, as far as it has an object
    advise,      // madvise with the number in `how`; linux_advice, model_advice
    hear,        // one message of `of`'s userfaultfd; linux_told, model_told
    child,       // what the child of fork, how 3, has read at `at`; EAGAIN: it waits for its pager
    end_call,    // SIGKILL for who makes the call that a script with two actors waits for
};
inline constexpr std::size_t callers = static_cast<std::size_t>(op::map);
inline constexpr std::size_t ops = static_cast<std::size_t>(op::end_call) + 1;

/// fork's `how` for a child that reads a byte at `at`.
inline constexpr unsigned fork_reader = 3;

/// Which pair of files does a step.
enum class area : std::uint8_t { core, advice, remap, uffd, large, special, told };

/// What `map` maps.
enum class memory : std::uint8_t {
    own,             ///< private anonymous
    shared,          ///< shared anonymous
    faults,          ///< private, with a userfaultfd whose pager fills pages with 'u'
    faults_bus,      ///< with UFFD_FEATURE_SIGBUS
    faults_user,     ///< with UFFD_USER_MODE_ONLY
    faults_wp,       ///< private, missing and write-protect mode; the pager lifts the protection
    faults_shared,   ///< shared memory, missing mode
    faults_minor,    ///< shared memory, its pages in a memfd, minor mode; the pager goes on
    faults_told,     ///< private, missing mode, and fork, mremap, munmap, madvise are told of
    faults_removed,  ///< private, missing mode, only madvise is told of
    faults_told_shared,  ///< shared memory, missing mode, everything is told of
    faults_twin,         ///< nothing that can be mapped: the child's, of which fork has told
    secret,              ///< memfd_secret
    memfd,               ///< shared, an object with contents
    memfd_own,           ///< the same, private
    memfd_end,           ///< shared, the object ends in the middle of the mapping
    memfd_end_own,       ///< the same, private
    file,                ///< shared, a file on a disk, its pages cached
    file_own,            ///< the same, private
    file_ro,             ///< shared, a file that is open for reading only
    dev_zero,            ///< private, /dev/zero
    droppable,           ///< MAP_DROPPABLE
    stack,               ///< private, MAP_GROWSDOWN
    ring,                ///< the submission ring of an io_uring
    perf,                ///< the ring of a perf event
    large,               ///< private, advised to be large; in the large arena
    hugetlb,             ///< private hugetlb pages; in the large arena
    hugetlb_shared,      ///< the same, shared
    hugetlbfs,           ///< shared, a file of hugetlbfs; in the large arena
    hugetlbfs_own,       ///< the same, private
    vdso,                ///< the process's own [vdso], wherever it is
    device,              ///< the process's own [vvar], wherever it is
};
inline constexpr std::size_t memories = static_cast<std::size_t>(memory::device) + 1;
/// Has it a userfaultfd of its own?
inline constexpr bool has_faults(memory of) {
    return of >= memory::faults && of <= memory::faults_twin;
}
inline constexpr std::size_t fault_servers = 10;
inline constexpr std::size_t fault_server_of(memory of) {
    return static_cast<std::size_t>(of) - static_cast<std::size_t>(memory::faults);
}
/// Is its pager told of what happens to it?
inline constexpr bool is_told(memory of) {
    return of >= memory::faults_told && of <= memory::faults_told_shared;
}
/// Is it something that `map` can map?
inline constexpr bool can_be_mapped(memory of) { return of != memory::faults_twin; }
/// Does it live in the large arena?
inline constexpr bool is_large(memory of) {
    return of >= memory::large && of <= memory::hugetlbfs_own;
}
/// Is it in hugetlb pages?
inline constexpr bool is_hugetlb(memory of) {
    return of >= memory::hugetlb && of <= memory::hugetlbfs_own;
}
/// Is it a file of hugetlbfs?
inline constexpr bool is_hugetlbfs(memory of) {
    return of == memory::hugetlbfs || of == memory::hugetlbfs_own;
}
/// Is it there already, at an address of its own?
inline constexpr bool has_own_place(memory of) { return of >= memory::vdso; }
/// Is there an object behind it that is made with it?
inline constexpr bool has_object(memory of) { return of >= memory::memfd && of <= memory::file_ro; }
/// Is it a file on a disk?
inline constexpr bool is_on_disk(memory of) {
    return of == memory::file || of == memory::file_own || of == memory::file_ro;
}
inline constexpr bool is_shared(memory of) {
    return of == memory::shared || of == memory::secret || of == memory::memfd ||
           of == memory::memfd_end || of == memory::file || of == memory::file_ro ||
           of == memory::faults_shared || of == memory::faults_minor ||
           of == memory::faults_told_shared || of == memory::ring || of == memory::perf ||
           of == memory::hugetlb_shared || of == memory::hugetlbfs;
}
/// How many bytes of a mapping of `bytes` bytes its object has.
inline constexpr std::uint64_t object_bytes_of(memory of, std::uint64_t bytes) {
    constexpr std::uint64_t large = 512 * page_bytes;
    if (is_hugetlbfs(of)) return (bytes + large - 1) / large * large;
    auto const ends = of == memory::memfd_end || of == memory::memfd_end_own;
    return ends ? bytes / page_bytes / 2 * page_bytes : bytes;
}

/// What `hear` answers: 1 a fault at page a, with flags b; 2 fork; 3 mremap of c pages from a to b;
/// 4 madvise, 5 munmap, from a to b. Two digits for each.
inline constexpr std::int64_t heard_value(unsigned kind, std::uint64_t a, std::uint64_t b,
                                          std::uint64_t c) {
    auto const digits = [](std::uint64_t number) {
        return static_cast<std::int64_t>(number < 99 ? number : 99);
    };
    return ((kind * 100 + digits(a)) * 100 + digits(b)) * 100 + digits(c);
}
inline constexpr bool is_notice(std::int64_t heard) { return heard >= 2'000'000; }

/// Its size after `truncate`. A file on a disk only shrinks: how many pages the kernel reads ahead
/// behind its old end is nobody's promise.
inline constexpr std::uint64_t size_after(memory of, std::uint64_t before, std::uint64_t wanted) {
    return is_on_disk(of) && wanted > before ? before : wanted;
}

/// A short name, as the grid and the scripts spell it.
std::string_view name_of(op what);
std::string_view name_of(memory what);
/// What the name stands for, in words.
std::string_view meaning_of(op what);
area area_of(op what);
/// Is its `of` a userfaultfd's?
bool names_server(op what);
area area_of(memory of);

/// One step. Addresses are absolute; the arena is what most of them point to.
struct step {
    op what{op::load};
    memory of{memory::own};  ///< for map and close_faults
    unsigned prot{3};        ///< for map and protect: 1 read, 2 write, 4 execute
    std::uint64_t at{0};
    std::uint64_t bytes{0};
    std::uint64_t to{0};        ///< where to, for steps that move something
    std::uint64_t to_bytes{0};  ///< how much is to be there
    unsigned how{0};            ///< flags of the call, for steps that have some

    friend bool operator==(step const&, step const&) = default;
};
using script = std::vector<step>;

/// "PR at=3+100 bytes=5000", with addresses in pages of the arena where they lie in it; "L512" is
/// page 512 of the large arena.
std::string to_text(step const& one);
/// The inverse. False: not a step.
bool from_text(std::string_view line, step& out);

/// Where scripts work.
inline constexpr std::uint64_t arena_pages = 32;
inline constexpr std::uint64_t arena_start = std::uint64_t{1} << 45U;
/// No transfer is longer: what a pipe holds.
inline constexpr std::uint64_t most_bytes = 16 * page_bytes;
inline constexpr std::uint64_t arena_page(std::uint64_t number) {
    return arena_start + number * page_bytes;
}
/// What a step answers that has put a mapping outside of the arena.
inline constexpr std::int64_t place_elsewhere = 1000;
/// And where large pages live: room for four of them.
inline constexpr std::uint64_t large_bytes = 512 * page_bytes;
inline constexpr std::uint64_t large_arena_start = arena_start + (std::uint64_t{1} << 30U);
inline constexpr std::uint64_t large_arena_pages = 4 * 512;
/// Behind the last one there may be another that nobody looks at.
inline constexpr std::uint64_t large_arena_end =
    large_arena_start + (large_arena_pages + 512) * page_bytes;
/// How many pages of hugetlb both sides have set aside.
inline constexpr std::uint64_t hugetlb_pages_reserved = 16;
inline constexpr std::uint64_t large_page(std::uint64_t number) {
    return large_arena_start + number * page_bytes;
}

/// Does it map something there?
inline constexpr bool lies_in_large_arena(step const& one) {
    return one.what == op::map && one.at >= large_arena_start && one.at < large_arena_end;
}

/// How a step ended, and how it left the arena.
struct answer {
    std::int64_t value{0};            ///< as the system call: a count, 0, or -errno
    std::int32_t signal{0};           ///< a load or store was answered by this signal
    std::int32_t code{0};             ///< and this si_code
    std::uint32_t events{0};          ///< of the userfaultfd
    std::uint32_t faults{0};          ///< minor faults
    std::uint32_t pinned{0};          ///< pages pinned meanwhile, by everybody on the machine
    std::uint32_t unpinned{0};        ///< and let go
    std::uint64_t bytes{0};           ///< digest of what was read
    std::uint64_t present{0};         ///< bit n: page n of the arena is mapped
    std::uint64_t contents{0};        ///< digest of the arena's present pages
    std::uint64_t large{0};           ///< how many pages of the large arena are mapped
    std::uint64_t large_contents{0};  ///< digest of these pages
    std::uint64_t lost{0};            ///< frames that the model never got back, in its last answer
    bool ran{false};
    bool counts_pins{false};

    friend bool operator==(answer const&, answer const&) = default;
};

/// In what two answers to one step differ, in words; empty: in nothing that is the same every time.
std::string difference(answer const& one, answer const& other);

/// "4096", "EFAULT", "SIGSEGV/1".
std::string to_text(answer const& one);

/// A running checksum (FNV-1a).
std::uint64_t digest(std::span<std::byte const> bytes,
                     std::uint64_t before = 14695981039346656037U);
/// A page of the large arena: its number and contents; a page of zeroes only counts as such.
std::uint64_t digest_of_page(std::span<std::byte const> page, std::uint64_t number,
                             std::uint64_t before);
/// The bytes that the step number `seed` writes, from `from` on.
void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed);

}  // namespace parity
