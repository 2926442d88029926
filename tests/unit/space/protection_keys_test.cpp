// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/callers/direct_io.hpp>
#include <mmhold/callers/fixup_user_fault.hpp>
#include <mmhold/callers/futex_key.hpp>
#include <mmhold/callers/mlock.hpp>
#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/callers/single_read.hpp>
#include <mmhold/callers/uring_buffers.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/space/protection_keys.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

using namespace mmhold;

namespace {

using keys_type = protection_keys<checked_host_machine>;

/// Two written pages; the second may get a key.
struct keyed : mmhold_test::small_space<> {
    keys_type keys{};

    keyed() : small_space{256, frame_bytes::owned} {
        REQUIRE(map(2));
        for (std::uint64_t const n : {0U, 1U}) (void)fill(n);
    }
    result<std::uint8_t> allocate(key_denial denied = key_denial::nothing) {
        return pkey_alloc(me, mm, keys, denied);
    }
    result<void> protect(std::uint64_t number, protection wanted,
                         std::optional<std::uint8_t> key = {}) {
        return pkey_mprotect(me, mm, keys, span(number, 1), wanted, key);
    }
    std::uint8_t key_of(std::uint64_t number) {
        auto const held = hold();
        auto const area = mm.find(page(number), held);
        return area ? area->view(held).pkey : std::uint8_t{99};
    }
    trap loads(std::uint64_t number) {
        std::array<std::byte, 1> byte{};
        return read_user(mm, me, page(number), byte).why;
    }
};

/// What every caller says of eight bytes of page 1, and of two pages of which it is the second: the
/// symbols of the grid, in the order of its columns.
class row {
public:
    explicit row(keyed& world) : w_{world} {}

    std::string text() {
        cpu_columns();
        remote_columns();
        local_columns();
        word_columns();
        kernel_columns();
        return text_;
    }

private:
    static constexpr auto both = 2 * page_size;

    void add(std::string const& symbol) { text_ += (text_.empty() ? "" : " ") + symbol; }
    static std::string symbol(errc error) {
        switch (error) {
            case errc::ok: return ".";
            case errc::bad_address: return "F";
            case errc::invalid_argument: return "V";
            case errc::no_memory: return "N";
            case errc::io: return "I";
            default: return "?";
        }
    }
    /// Part of it, all of it, or nothing.
    static std::string counted(result<std::uint64_t> const& alone,
                               result<std::uint64_t> const& second) {
        if (!alone) return symbol(alone.error()) + (second.value_or(0) == page_size ? "p" : "");
        return *second == both ? "." : "?";
    }
    static std::string trapped(trap why) {
        return why == trap::none ? "." : why == trap::key_error ? "S4" : "?";
    }
    user_range alone() const { return {w_.page(1), page_size}; }
    user_range second() const { return {w_.page(0), both}; }

    void cpu_columns() {
        add(trapped(read_user(w_.mm, w_.me, w_.page(1), room(8)).why));
        add(trapped(write_user(w_.mm, w_.me, w_.page(1), room(8)).why));
    }
    void remote_columns() {
        std::array const one{alone()};
        std::array const two{second()};
        add(counted(process_vm_read(w_.mm, w_.me, one, room(page_size)),
                    process_vm_read(w_.mm, w_.me, two, room(both))));
        add(counted(process_vm_write(w_.mm, w_.me, one, room(page_size)),
                    process_vm_write(w_.mm, w_.me, two, room(both))));
        add(counted(proc_mem_read(w_.mm, w_.me, w_.page(1), room(page_size)),
                    proc_mem_read(w_.mm, w_.me, w_.page(0), room(both))));
        add(counted(proc_mem_write(w_.mm, w_.me, w_.page(1), room(page_size)),
                    proc_mem_write(w_.mm, w_.me, w_.page(0), room(both))));
        std::array<std::byte, 8> word{};
        add(symbol(ptrace_peek(w_.mm, w_.me, w_.page(1), word).error()));
        add(symbol(ptrace_poke(w_.mm, w_.me, w_.page(1), word).error()));
    }
    void local_columns() {
        add(counted(spliced(alone()), spliced(second())));
        add(symbol(direct_io_read(w_.mm, w_.me, w_.page(1), room(page_size)).error()));
        add(symbol(direct_io_write(w_.mm, w_.me, w_.page(1), room(page_size)).error()));
        add(symbol(registered(alone())));
        add(symbol(madvise_populate(w_.mm, w_.me, alone(), access::read).error()));
        add(symbol(madvise_populate(w_.mm, w_.me, alone(), access::write).error()));
        add(symbol(mlock_pages(w_.mm, w_.me, w_.span(1, 1)).error()));
        (void)munlock_pages(w_.mm, w_.me, w_.span(1, 1));
    }
    /// The futex calls: shared to wake, shared to change, private to change; get_mempolicy.
    void word_columns() {
        add(symbol(get_futex_key(w_.mm, w_.me, w_.page(1), access::read).error()));
        add(symbol(get_futex_key(w_.mm, w_.me, w_.page(1), access::write).error()));
        {
            auto const held = w_.hold();
            add(symbol(fixup_user_fault(w_.mm, w_.me, held, w_.page(1), access::write).error()));
        }
        auto const seen = look_at_page(w_.mm, w_.me, w_.page(1));
        if (seen) w_.frames.put(*seen);
        add(symbol(seen.error()));
    }
    /// A copy of the kernel's moves whole pages.
    void kernel_columns() {
        add(copied(write_user(w_.mm, w_.me, w_.page(0), room(both), access_by::kernel)));
        add(copied(read_user(w_.mm, w_.me, w_.page(0), room(both), access_by::kernel)));
    }
    static std::string copied(access_result const& got) {
        return got.bytes == both ? "." : got.bytes == page_size ? "Fp" : "F";
    }
    result<std::uint64_t> spliced(user_range range) {
        std::array<pfn, 16> slots{};
        auto const got = vmsplice(w_.mm, w_.me, range, slots);
        if (got) put_pages(w_.frames, std::span<pfn const>{slots}.first(*got / page_size));
        return got;
    }
    errc registered(user_range range) {
        std::array<pfn, 4> out{};
        auto const got = uring_register(w_.mm, w_.me, range, out);
        if (got) unpin(w_.frames, std::span<pfn const>{out}.first(*got));
        return got.error();
    }
    std::span<std::byte> room(std::uint64_t bytes) { return std::span{buffer_}.first(bytes); }

    keyed& w_;
    std::string text_{};
    std::array<std::byte, both> buffer_{};
};

}  // namespace

TEST_CASE("pkeys(7): keys are given out from the lowest, and come back") {
    keys_type keys;
    CHECK(keys.is_allocated(0));
    CHECK_FALSE(keys.is_allocated(1));
    for (std::uint8_t key = 1; key < keys_type::count; ++key) CHECK(*keys.allocate() == key);
    CHECK(keys.allocate().error() == errc::no_memory);
    REQUIRE(keys.free(7));
    CHECK(keys.free(7).error() == errc::invalid_argument);
    CHECK(keys.free(16).error() == errc::invalid_argument);
    CHECK(*keys.allocate() == 7);
    keys_type const childs{keys};
    CHECK(childs.is_allocated(15));
}

TEST_CASE("pkey_alloc(2): the register of the cpu that asks forbids what it was told") {
    keyed w;
    auto const open = *w.allocate();
    auto const closed = *w.allocate(key_denial::access);
    auto const guarded = *w.allocate(key_denial::write);
    CHECK(w.me.key_rights().permit(open, access::write));
    CHECK_FALSE(w.me.key_rights().permit(closed, access::read));
    CHECK(w.me.key_rights().permit(guarded, access::read));
    CHECK_FALSE(w.me.key_rights().permit(guarded, access::write));
}

TEST_CASE("pkey_mprotect(2): a key must have been given out, and mappings keep one that is freed") {
    keyed w;
    CHECK(w.protect(1, prot::rw, std::uint8_t{1}).error() == errc::invalid_argument);
    CHECK(w.protect(1, prot::rw, std::uint8_t{16}).error() == errc::invalid_argument);
    auto const key = *w.allocate();
    REQUIRE(w.protect(1, prot::rw, key));
    CHECK(w.key_of(0) == 0);
    CHECK(w.key_of(1) == key);
    CHECK(w.entry(1).pkey == key);
    REQUIRE(w.protect(1, prot::r));
    CHECK(w.key_of(1) == key);
    REQUIRE(pkey_free(w.me, w.mm, w.keys, key));
    CHECK(w.key_of(1) == key);
    CHECK(w.protect(1, prot::rw, key).error() == errc::invalid_argument);
    CHECK(pkey_free(w.me, w.mm, w.keys, key).error() == errc::invalid_argument);
    REQUIRE(w.protect(1, prot::rw, std::uint8_t{0}));
    CHECK(w.key_of(1) == 0);
    CHECK(w.protect(2, prot::rw).error() == errc::no_memory);
}

TEST_CASE("8.2 pkey_no_access: who looks from outside ignores keys, everybody else heeds them") {
    keyed w;
    REQUIRE(w.protect(1, prot::rw, *w.allocate(key_denial::access)));
    CHECK(row{w}.text() == "S4 S4 . . . . . . Fp F F F V V N F F F F Fp Fp");
}

TEST_CASE("8.2 pkey_no_write: reads pass") {
    keyed w;
    REQUIRE(w.protect(1, prot::rw, *w.allocate(key_denial::write)));
    CHECK(row{w}.text() == ". S4 . . . . . . . F . F . V N F F F . Fp .");
}

TEST_CASE("8.2 ok_anon: a key that forbids nothing") {
    keyed w;
    REQUIRE(w.protect(1, prot::rw, *w.allocate()));
    CHECK(row{w}.text() == ". . . . . . . . . . . . . . . . . . . . .");
}

TEST_CASE("8.2 exec_only: with keys a load is a key error, without one left it works") {
    keyed w;
    SECTION("mprotect gives the key, and takes it away") {
        REQUIRE(w.protect(1, prot::x));
        CHECK(w.key_of(1) == 1);
        CHECK(w.loads(1) == trap::key_error);
        CHECK(w.protect(0, prot::rw, std::uint8_t{1}).error() == errc::invalid_argument);
        CHECK(w.keys.free(1).error() == errc::invalid_argument);
        CHECK(*w.allocate() == 2);
        REQUIRE(w.protect(1, prot::r));
        CHECK(w.key_of(1) == 0);
        CHECK(w.loads(1) == trap::none);
    }
    SECTION("mmap gives it, the same one") {
        REQUIRE(w.protect(1, prot::x));
        REQUIRE(keyed_mmap(w.me, w.mm, w.keys,
                           {.hint = w.page(4),
                            .pages = page_count{1},
                            .prot = prot::x,
                            .flags = mmap_flag::fixed}));
        CHECK(w.key_of(4) == 1);
        CHECK(w.loads(4) == trap::key_error);
    }
    SECTION("none is left") {
        while (w.allocate()) {}
        REQUIRE(w.protect(1, prot::x));
        CHECK(w.key_of(1) == 0);
        CHECK(w.loads(1) != trap::key_error);
    }
}
