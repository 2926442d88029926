// SPDX-License-Identifier: BSL-1.0
// Files and shared memory beside those of this Linux: the same script through real system calls and through the
// model, the same answers, the same bytes (gup-semantics §8.2, the rows of files, shmem and eof).
#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/object_bytes.hpp>

#include "support/catch.hpp"
#include "support/skip.hpp"

#include <array>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using config = default_config<machine>;
using space_type = address_space<config>;

constexpr std::uint64_t arena = std::uint64_t{1} << 45U;
constexpr std::uint64_t mapped_pages = 6;
constexpr std::uint64_t pages_at_first = 4;  // so that two are behind the end

/// An answer that both sides can give: bytes or 0, an errno, or a signal.
struct answer {
    std::uint64_t bytes{0};
    int error{0};
    trap why{trap::none};
    std::string seen{};  // first bytes of the pages that were read
    friend bool operator==(answer const&, answer const&) = default;
};
std::ostream& operator<<(std::ostream& out, answer const& a) {
    return out << a.bytes << " bytes, errno " << a.error << ", trap " << static_cast<int>(a.why)
               << ", saw \"" << a.seen << '"';
}

// ---- Linux ----------------------------------------------------------------------------------------

sigjmp_buf back;
trap last_trap = trap::none;

void on_trap(int number, siginfo_t* info, void*) {
    if (number == SIGBUS) {
        last_trap = trap::bus_error;
    } else {
        last_trap = info->si_code == SEGV_MAPERR ? trap::map_error : trap::access_error;
    }
    siglongjmp(back, 1);
}

/// Signals of bad accesses come to on_trap for a while.
struct trapping {
    struct sigaction old_bus {};
    struct sigaction old_segv {};
    trapping() {
        struct sigaction mine {};
        mine.sa_sigaction = on_trap;
        mine.sa_flags = SA_SIGINFO | SA_NODEFER;
        sigaction(SIGBUS, &mine, &old_bus);
        sigaction(SIGSEGV, &mine, &old_segv);
    }
    ~trapping() {
        sigaction(SIGBUS, &old_bus, nullptr);
        sigaction(SIGSEGV, &old_segv, nullptr);
    }
};

void* pointer(std::uint64_t at) { return reinterpret_cast<void*>(at); }
answer said(long result) {
    if (result >= 0) return {static_cast<std::uint64_t>(result), 0, trap::none, {}};
    return {0, errno, trap::none, {}};
}
int to_prot(protection rights) {
    auto bits = PROT_NONE;
    if (rights.has(protection_bit::read)) bits |= PROT_READ;
    if (rights.has(protection_bit::write)) bits |= PROT_WRITE;
    return bits;
}
std::string first_bytes(std::span<std::byte const> bytes, std::uint64_t start) {
    std::string seen;
    auto const until_next = (page_size - start % page_size) % page_size;
    if (until_next != 0 && !bytes.empty()) seen += static_cast<char>('a' + static_cast<int>(bytes[0]) % 26);
    for (auto at = until_next; at < bytes.size(); at += page_size) {
        seen += static_cast<char>('a' + static_cast<int>(bytes[at]) % 26);
    }
    return seen;
}

/// What is mapped.
enum class backing : std::uint8_t { memfd, tmpfile, anonymous, secret };
struct mapping_kind {
    char const* name;
    backing what;
    bool shared;
    protection prot;
    descriptor_rights rights;
};

/// This process.
class real_side {
public:
    int file{-1};      // what the file is changed with
    int mapped{-1};    // what it is mapped with
    int memory{-1};    // /proc/self/mem
    int ends[2]{-1, -1};
    bool mmapped{false};
    bool punches{false};

    /// Why it cannot be, or nothing.
    std::string begin(mapping_kind const& kind) {
        if (kind.what == backing::memfd) {
            file = static_cast<int>(syscall(SYS_memfd_create, "mmhold", 0));
            if (file < 0) return "memfd_create(2) is not available";
        } else if (kind.what == backing::tmpfile) {
            file = open(".", O_TMPFILE | O_RDWR, 0600);
            if (file < 0) return "the file system of the build folder has no O_TMPFILE";
        } else if (kind.what == backing::secret) {
            constexpr auto memfd_secret = 447;  // older C libraries have no name for it
            file = static_cast<int>(syscall(memfd_secret, 0));
            if (file < 0) return "memfd_secret(2) is not available";
        }
        if (file >= 0 && ftruncate(file, pages_at_first * page_size) != 0) return "ftruncate(2) fails";
        mapped = file;
        if (file >= 0 && kind.rights == descriptor_rights::read_only) {
            mapped = open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY);
            if (mapped < 0) return "/proc is not mounted";
        }
        punches = file >= 0 && fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page_size) == 0;
        auto const anonymous = file < 0 ? MAP_ANONYMOUS : 0;
        auto* const got = mmap(pointer(arena), mapped_pages * page_size, to_prot(kind.prot),
                               MAP_FIXED_NOREPLACE | anonymous | (kind.shared ? MAP_SHARED : MAP_PRIVATE),
                               mapped, 0);
        if (got != pointer(arena)) return "something is mapped where the test works";
        mmapped = true;
        memory = open("/proc/self/mem", O_RDWR);
        if (memory < 0) return "/proc/self/mem cannot be opened";
        return pipe(ends) == 0 ? "" : "pipe(2) fails";
    }
    ~real_side() {
        if (mmapped) munmap(pointer(arena), mapped_pages * page_size);
        for (auto const fd : {file, mapped != file ? mapped : -1, memory, ends[0], ends[1]}) {
            if (fd >= 0) close(fd);
        }
    }

    answer load(std::uint64_t at) {
        trapping const now;
        if (sigsetjmp(back, 1) != 0) return {0, 0, last_trap, {}};
        auto const byte = std::byte{*static_cast<unsigned char const volatile*>(pointer(at))};
        return {1, 0, trap::none, first_bytes(std::span{&byte, 1}, at)};
    }
    answer store(std::uint64_t at, std::byte value) {
        trapping const now;
        if (sigsetjmp(back, 1) != 0) return {0, 0, last_trap, {}};
        *static_cast<unsigned char volatile*>(pointer(at)) = static_cast<unsigned char>(value);
        return {1, 0, trap::none, {}};
    }
    answer vm_read(std::uint64_t at, std::uint64_t bytes) {
        std::vector<std::byte> to(bytes);
        iovec const local{to.data(), bytes};
        iovec const remote{pointer(at), bytes};
        auto got = said(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
        got.seen = first_bytes(std::span{to}.first(got.bytes), at);
        return got;
    }
    answer vm_write(std::uint64_t at, std::span<std::byte const> from) {
        std::vector<std::byte> copy(from.begin(), from.end());
        iovec const local{copy.data(), copy.size()};
        iovec const remote{pointer(at), copy.size()};
        return said(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
    }
    answer populate(std::uint64_t at, std::uint64_t bytes, mmhold::access how) {
        constexpr auto populate_read = 22;
        constexpr auto populate_write = 23;
        return said(madvise(pointer(at), bytes, how == mmhold::access::read ? populate_read : populate_write));
    }
    answer splice(std::uint64_t at, std::uint64_t bytes) {
        iovec const pages{pointer(at), bytes};
        auto got = said(vmsplice(ends[1], &pages, 1, SPLICE_F_NONBLOCK));
        std::vector<std::byte> out(got.bytes);
        if (got.bytes != 0) REQUIRE(::read(ends[0], out.data(), out.size()) == static_cast<long>(out.size()));
        got.seen = first_bytes(out, at);
        return got;
    }
    /// /proc/self/mem: as a debugger, which overrules the rights of the mapping where it may.
    answer force_read(std::uint64_t at, std::uint64_t bytes) {
        std::vector<std::byte> to(bytes);
        auto got = said(pread(memory, to.data(), bytes, static_cast<off_t>(at)));
        got.seen = first_bytes(std::span{to}.first(got.bytes), at);
        return got;
    }
    answer force_write(std::uint64_t at, std::span<std::byte const> from) {
        return said(pwrite(memory, from.data(), from.size(), static_cast<off_t>(at)));
    }
    answer protect(std::uint64_t at, std::uint64_t bytes, protection rights) {
        return said(mprotect(pointer(at), bytes, to_prot(rights)));
    }
    answer discard(std::uint64_t at, std::uint64_t bytes) {
        return said(madvise(pointer(at), bytes, MADV_DONTNEED));
    }
    answer resize(std::uint64_t bytes) { return said(ftruncate(file, static_cast<off_t>(bytes))); }
    answer punch(std::uint64_t first, std::uint64_t count) {
        return said(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(first * page_size), static_cast<off_t>(count * page_size)));
    }
    answer read(std::uint64_t offset, std::uint64_t bytes) {
        std::vector<std::byte> to(bytes);
        auto got = said(pread(file, to.data(), bytes, static_cast<off_t>(offset)));
        got.seen = first_bytes(std::span{to}.first(got.bytes), offset);
        return got;
    }
    answer write(std::uint64_t offset, std::span<std::byte const> from) {
        return said(pwrite(file, from.data(), from.size(), static_cast<off_t>(offset)));
    }
};

// ---- the model ------------------------------------------------------------------------------------

/// The same in the model. A file's disk is as fast as memory: what is missing is read in before anybody asks.
class model_side {
public:
    frame_pool<machine> frames{page_count{64}, frame_bytes::owned};
    config::tables tables{page_count{16}};
    config::reclaimer domain{};
    cpu<config::reclaimer> me{domain};
    space_type space{frames, tables, domain};
    page_cache<space_type> shmem{frames, object_kind::shmem, pages_at_first* page_size};
    page_cache<space_type> secret{frames, object_kind::secret, pages_at_first* page_size};
    file_object<space_type> file{frames, pages_at_first* page_size};
    page_cache<space_type>* object{nullptr};

    explicit model_side(mapping_kind const& kind) {
        auto const flags = mmap_flags{}.with_if(kind.shared, mmap_flag::shared);
        mmap_request request{.pages = page_count{mapped_pages}, .prot = kind.prot, .flags = flags};
        if (kind.what != backing::anonymous) {
            object = kind.what == backing::memfd ? &shmem : kind.what == backing::secret ? &secret : &file;
            request = object->request(0, page_count{mapped_pages}, kind.prot, flags, kind.rights);
        }
        request.hint = virt_addr{arena};
        request.flags = request.flags.with(mmap_flag::fixed);
        REQUIRE(space.mmap(me, request).has_value());
        read_ahead();
    }
    ~model_side() { space.exit(me); }

    answer load(std::uint64_t at) {
        auto byte = std::byte{};
        auto const got = read_user(space, me, virt_addr{at}, std::span{&byte, 1});
        return {got.bytes, 0, got.why, first_bytes(std::span{&byte, got.bytes}, at)};
    }
    answer store(std::uint64_t at, std::byte value) {
        auto const got = write_user(space, me, virt_addr{at}, std::span<std::byte const>{&value, 1});
        return {got.bytes, 0, got.why, {}};
    }
    answer vm_read(std::uint64_t at, std::uint64_t bytes) {
        std::vector<std::byte> to(bytes);
        user_range const remote[]{{virt_addr{at}, bytes}};
        auto got = says(process_vm_read(space, me, remote, to));
        got.seen = first_bytes(std::span{to}.first(got.bytes), at);
        return got;
    }
    answer vm_write(std::uint64_t at, std::span<std::byte const> from) {
        user_range const remote[]{{virt_addr{at}, from.size()}};
        return says(process_vm_write(space, me, remote, from));
    }
    answer populate(std::uint64_t at, std::uint64_t bytes, mmhold::access how) {
        return says(madvise_populate(space, me, {virt_addr{at}, bytes}, how));
    }
    answer splice(std::uint64_t at, std::uint64_t bytes) {
        std::array<pfn, 16> slots{};
        auto got = says(mmhold::vmsplice(space, me, {virt_addr{at}, bytes}, slots));
        auto const held = std::span<pfn const>{slots}.first((at % page_size + got.bytes + page_size - 1) / page_size);
        std::vector<std::byte> out(got.bytes);
        copy_from_pages(frames, held, at % page_size, std::span{out});
        got.seen = first_bytes(out, at);
        put_pages(frames, got.bytes == 0 ? held.first(0) : held);
        return got;
    }
    answer force_read(std::uint64_t at, std::uint64_t bytes) {
        std::vector<std::byte> to(bytes);
        auto got = says(proc_mem_read(space, me, virt_addr{at}, to));
        got.seen = first_bytes(std::span{to}.first(got.bytes), at);
        return got;
    }
    answer force_write(std::uint64_t at, std::span<std::byte const> from) {
        return says(proc_mem_write(space, me, virt_addr{at}, from));
    }
    answer protect(std::uint64_t at, std::uint64_t bytes, protection rights) {
        auto const done = space.mprotect(me, *page_span::covering(virt_addr{at}, bytes), rights);
        return {0, to_errno(done.error()), trap::none, {}};
    }
    answer discard(std::uint64_t at, std::uint64_t bytes) {
        return says(space.dontneed(me, *page_span::covering(virt_addr{at}, bytes)));
    }
    answer resize(std::uint64_t bytes) { return then_read_ahead(says(object->resize(me, bytes))); }
    answer punch(std::uint64_t first, std::uint64_t count) {
        return then_read_ahead(says(object->punch(me, {first, first + count})));
    }
    answer read(std::uint64_t offset, std::uint64_t bytes) {
        std::vector<std::byte> to(bytes);
        auto const got = read_object(*object, offset, std::span{to});
        return {got.bytes, to_errno(got.stop), trap::none, first_bytes(std::span{to}.first(got.bytes), offset)};
    }
    answer write(std::uint64_t offset, std::span<std::byte const> from) {
        auto const got = write_object(*object, offset, from);
        return then_read_ahead({got.bytes, to_errno(got.stop), trap::none, {}});
    }
    std::uint64_t size() { return object->size(); }
    /// Can it be read, written and truncated?
    bool has_file() const { return object != nullptr && object != &secret; }

private:
    static answer says(result<std::uint64_t> const& done) {
        return {done.value_or(0), to_errno(done.error()), trap::none, {}};
    }
    static answer says(result<void> const& done) { return {0, to_errno(done.error()), trap::none, {}}; }
    answer then_read_ahead(answer done) {
        read_ahead();
        return done;
    }
    void read_ahead() {
        if (object != &file) return;
        for (std::uint64_t index = 0; index * page_size < file.size(); ++index) {
            auto place = file.ask(me.current(), index);
            while (auto const wanted = file.try_next_read()) {
                REQUIRE(file.complete(*wanted, [](std::uint64_t, auto) {}));
            }
        }
    }
};

// ---- side by side ---------------------------------------------------------------------------------

/// One random step, on both sides; what it was.
struct step {
    std::string name;
    answer real;
    answer model;
};

class script {
public:
    script(real_side& real, model_side& model, unsigned seed) : real_{real}, model_{model}, random_{seed} {}

    step next() {
        auto const has_file = model_.has_file();
        auto const at = arena + (random_() % mapped_pages) * page_size;
        auto const pages = 1 + random_() % std::min<std::uint64_t>(3, mapped_pages - (at - arena) / page_size);
        auto const bytes = pages * page_size;
        auto const value = std::byte(1 + random_() % 25);
        switch (random_() % (has_file ? 15 : 11)) {
            case 0: return both("load", [&](auto& s) { return s.load(at); });
            case 1:
            case 2: return both("store", [&](auto& s) { return s.store(at, value); });
            case 3: return both("process_vm_readv", [&](auto& s) { return s.vm_read(at, bytes); });
            case 4: return both("process_vm_writev", [&](auto& s) { return s.vm_write(at, filled(bytes, value)); });
            case 5: {
                auto const how = random_() % 2 == 0 ? mmhold::access::read : mmhold::access::write;
                return both("MADV_POPULATE", [&](auto& s) { return s.populate(at, bytes, how); });
            }
            case 6: return both("vmsplice", [&](auto& s) { return s.splice(at, bytes); });
            case 7: {
                auto const rights = random_() % 8 == 0 ? prot::none : random_() % 3 == 0 ? prot::r : prot::rw;
                return both("mprotect", [&](auto& s) { return s.protect(at, bytes, rights); });
            }
            case 8: return both("MADV_DONTNEED", [&](auto& s) { return s.discard(at, bytes); });
            case 9: return both("/proc/self/mem, read", [&](auto& s) { return s.force_read(at, bytes); });
            case 10:
                return both("/proc/self/mem, written",
                            [&](auto& s) { return s.force_write(at, filled(bytes, value)); });
            case 11: {
                auto const size = (random_() % (mapped_pages + 1)) * page_size + (random_() % 3 == 0 ? 100 : 0);
                return both("ftruncate", [&](auto& s) { return s.resize(size); });
            }
            case 12: {
                auto const first = random_() % mapped_pages;
                if (!real_.punches) return both("load", [&](auto& s) { return s.load(at); });
                return both("fallocate", [&](auto& s) { return s.punch(first, pages); });
            }
            case 13: {
                auto const offset = random_() % (mapped_pages * page_size);
                return both("pread", [&](auto& s) { return s.read(offset, bytes); });
            }
            default: {
                auto const offset = (random_() % mapped_pages) * page_size;
                auto const length = 1 + random_() % bytes;
                return both("pwrite", [&](auto& s) { return s.write(offset, filled(length, value)); });
            }
        }
    }

private:
    template<class Act>
    step both(std::string name, Act act) {
        return {std::move(name), act(real_), act(model_)};
    }
    std::span<std::byte const> filled(std::uint64_t bytes, std::byte value) {
        buffer_.assign(bytes, value);
        return buffer_;
    }

    real_side& real_;
    model_side& model_;
    std::mt19937 random_;
    std::vector<std::byte> buffer_{};
};

void compare(mapping_kind const& kind, unsigned seed, int steps) {
    real_side real;
    auto const missing = real.begin(kind);
    if (!missing.empty()) return mmhold_test::skip(missing);
    model_side model{kind};
    script both{real, model, seed};
    std::string so_far;
    for (int number = 0; number < steps; ++number) {
        auto const done = both.next();
        so_far += " " + done.name;
        INFO(kind.name << ", seed " << seed << ", step " << number << ": " << done.name);
        REQUIRE(done.model == done.real);
    }
    if (!model.has_file()) return;
    struct stat size {};
    REQUIRE(fstat(real.file, &size) == 0);
    CHECK(model.size() == static_cast<std::uint64_t>(size.st_size));
    CHECK(real.read(0, mapped_pages * page_size) == model.read(0, mapped_pages * page_size));
}

constexpr auto read_write = descriptor_rights::read_write;
constexpr auto read_only = descriptor_rights::read_only;

}  // namespace

TEST_CASE("8.2 shared mappings of a memfd, by every kind of access") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        compare({"shmem_rw", backing::memfd, true, prot::rw, read_write}, seed, 250);
    }
}

TEST_CASE("8.2 private mappings of a memfd: copies, truncated with the file") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        compare({"shmem_private", backing::memfd, false, prot::rw, read_write}, seed, 250);
    }
}

TEST_CASE("8.2 read-only shared mappings, of descriptors that may write and that may not") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        compare({"ro_shmem_fdRDWR", backing::memfd, true, prot::r, read_write}, seed, 250);
        compare({"ro_shmem_fdRDONLY", backing::memfd, true, prot::r, read_only}, seed, 250);
        compare({"private_fdRDONLY", backing::memfd, false, prot::r, read_only}, seed, 250);
    }
}

TEST_CASE("8.2 mappings of a file on the disk") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        compare({"rwfile_shared", backing::tmpfile, true, prot::rw, read_write}, seed, 250);
        compare({"rwfile_private", backing::tmpfile, false, prot::rw, read_write}, seed, 250);
        compare({"ro_file_private", backing::tmpfile, false, prot::r, read_only}, seed, 250);
        compare({"ro_file_shared_fdRDONLY", backing::tmpfile, true, prot::r, read_only}, seed, 250);
    }
}

TEST_CASE("8.2 shared and private anonymous memory: what MADV_DONTNEED leaves") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        compare({"shared_anonymous", backing::anonymous, true, prot::rw, read_write}, seed, 250);
        compare({"private_anonymous", backing::anonymous, false, prot::rw, read_write}, seed, 250);
    }
}

TEST_CASE("8.2 secret memory: cpus only") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        compare({"secretmem", backing::secret, true, prot::rw, read_write}, seed, 250);
    }
}
