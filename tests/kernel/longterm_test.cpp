// SPDX-License-Identifier: BSL-1.0
// Long-term pins of files' pages beside the running kernel: the matrix of its gup_longterm.c
// (gup-semantics §9.2) and the rows of cow.c that are not anonymous (§9.1).
//
//                 private: a copy is pinned    shared memfd: its page    shared file on a disk: refused
//   to write      both worlds; in the kernel by a fixed buffer of io_uring, which pins in this way
//   to read       the model alone: only the gup_test driver of a debug kernel pins in this way
//
// Of a private mapping the pin sees what its owner writes later, and the file never changes.
#include "support/catch.hpp"
#include "support/skip.hpp"
#include <mmhold/callers/user_access.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/space/object_bytes.hpp>

#include "family_backends.hpp"
#include <cstdint>
#include <memory>
#include <string>

using namespace mmhold_test;

namespace {

enum class backing : std::uint8_t { zero_page, memfd, tmpfile };
enum class sharing : std::uint8_t { by_copy, shared };

constexpr char first_byte = 1;

std::string words(std::initializer_list<int> values) {
    std::string text;
    for (auto const value : values) text += (text.empty() ? "" : " ") + std::to_string(value);
    return text;
}

/// One page, mapped, read once, pinned; its owner writes 2, the device perhaps 3. Answers: pinned;
/// what the device sees before and after the owner's store; what the owner sees in the end; the
/// file's byte.
template<class Side>
std::string story(Side&& side, bool device_writes) {
    auto const before = side.load();
    if (side.pin() != 0) return words({failed, before, side.file_byte()});
    auto const seen_first = side.device_reads();
    side.store(2);
    auto const seen_then = side.device_reads();
    if (device_writes) side.device_writes(3);
    return words({0, seen_first, seen_then, side.load(), side.file_byte()});
}

// ---- Linux ------------------------------------------------------------------------------------

class linux_page {
public:
    linux_page(backing what, sharing how) {
        if (what == backing::memfd) file_ = static_cast<int>(syscall(SYS_memfd_create, "pin", 0));
        if (what == backing::tmpfile) file_ = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        std::array<char, 4096> contents{};
        contents[0] = first_byte;
        if (file_ >= 0) (void)!pwrite(file_, contents.data(), contents.size(), 0);
        auto const flags = (how == sharing::shared ? MAP_SHARED : MAP_PRIVATE) |
                           (what == backing::zero_page ? MAP_ANONYMOUS : 0);
        auto* const got = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, flags, file_, 0);
        page_ = got == MAP_FAILED ? nullptr : static_cast<char*>(got);
    }
    linux_page(linux_page const&) = delete;
    linux_page& operator=(linux_page const&) = delete;
    ~linux_page() {
        buffer_.reset();
        if (page_ != nullptr) munmap(page_, 4096);
        if (file_ >= 0) close(file_);
    }
    [[nodiscard]] bool exists() const { return page_ != nullptr; }

    int load() { return *static_cast<char volatile*>(page_); }
    void store(int value) { *static_cast<char volatile*>(page_) = static_cast<char>(value); }
    int pin() {
        buffer_ = std::make_unique<fixed_buffer>(page_);
        return buffer_->registered() ? 0 : failed;
    }
    int device_reads() { return buffer_->read(); }
    void device_writes(int value) { (void)buffer_->write(value); }
    int file_byte() {
        char byte = 0;
        return file_ < 0 || pread(file_, &byte, 1, 0) != 1 ? 0 : byte;
    }

private:
    int file_{-1};
    char* page_{nullptr};
    std::unique_ptr<fixed_buffer> buffer_{};
};

// ---- the model --------------------------------------------------------------------------------

enum class walk : std::uint8_t { fast, slow };

class model_page {
public:
    using machine = mmhold::checked_host_machine;
    using config = mmhold::default_config<machine>;
    using space_type = mmhold::address_space<config>;

    model_page(backing what, sharing how, mmhold::gup_flags flags, walk by)
        : what_{what}, flags_{flags.with(mmhold::gup_flag::longterm)}, by_{by} {
        auto const shared =
            mmhold::mmap_flags{}.with_if(how == sharing::shared, mmhold::mmap_flag::shared);
        mmhold::mmap_request request{.pages = mmhold::page_count{1}, .flags = shared};
        if (what != backing::zero_page) {
            auto const byte = std::byte{first_byte};
            REQUIRE(object().add(0, fresh_page(byte)).has_value());
            request = object().request(0, mmhold::page_count{1}, mmhold::prot::rw, shared);
        }
        request.hint = place;
        request.flags = request.flags.with(mmhold::mmap_flag::fixed);
        REQUIRE(space_.mmap(me_, request).has_value());
    }
    model_page(model_page const&) = delete;
    model_page& operator=(model_page const&) = delete;
    ~model_page() {
        if (pinned_) frames_.unpin(*pinned_);
        space_.exit(me_);
    }

    int load() {
        auto byte = std::byte{};
        auto const got = mmhold::read_user(space_, me_, place, std::span{&byte, 1});
        return got.bytes == 1 ? static_cast<int>(byte) : died;
    }
    void store(int value) {
        auto const byte = static_cast<std::byte>(value);
        (void)mmhold::write_user(space_, me_, place, std::span<std::byte const>{&byte, 1});
    }
    int pin() {
        auto const span = *mmhold::page_span::from(place, mmhold::page_count{1});
        std::array<mmhold::pfn, 1> out{};
        auto const got = by_ == walk::fast ? pin_fast(space_, me_, span, flags_, out)
                                           : pin_unlocked(space_, me_, span, flags_, out);
        if (got.pages != 1) return got.error == mmhold::errc::bad_address ? failed : died;
        pinned_ = out[0];
        return 0;
    }
    int device_reads() { return static_cast<int>(frames_.bytes(*pinned_).front()); }
    void device_writes(int value) {
        frames_.bytes(*pinned_).front() = static_cast<std::byte>(value);
    }
    int file_byte() {
        if (what_ == backing::zero_page) return 0;
        auto byte = std::byte{};
        (void)mmhold::read_object(object(), 0, std::span{&byte, 1});
        return static_cast<int>(byte);
    }

private:
    static constexpr mmhold::virt_addr place{std::uint64_t{1} << 32U};

    mmhold::page_cache<space_type>& object() {
        if (what_ == backing::memfd) return memfd_;
        return file_;
    }
    mmhold::pfn fresh_page(std::byte value) {
        auto const page = *object().allocate();
        frames_.bytes(page).front() = value;
        return page;
    }

    mmhold::frame_pool<machine> frames_{mmhold::page_count{16}, mmhold::frame_bytes::owned};
    config::tables tables_{mmhold::page_count{8}};
    config::reclaimer domain_{};
    mmhold::cpu<config::reclaimer> me_{domain_};
    space_type space_{frames_, tables_, domain_};
    mmhold::page_cache<space_type> memfd_{frames_, mmhold::object_kind::shmem, mmhold::page_size};
    mmhold::file_object<space_type> file_{frames_, mmhold::page_size, mmhold::dirty_tracking::on};
    backing what_;
    mmhold::gup_flags flags_;
    walk by_;
    std::optional<mmhold::pfn> pinned_{};
};

/// In the model, by either walk.
void model_says(std::string const& expected, backing what, sharing how, mmhold::gup_flags flags) {
    for (auto const by : {walk::fast, walk::slow}) {
        INFO("memory " << static_cast<int>(what) << ", walk " << static_cast<int>(by));
        auto const writes = flags.has(mmhold::gup_flag::write);
        CHECK(story(model_page{what, how, flags, by}, writes) == expected);
    }
}

void both_say(std::string const& expected, backing what, sharing how) {
    model_says(expected, what, how, mmhold::gup_flag::write);
    linux_page page{what, how};
    if (!page.exists()) return skip("memory of this kind cannot be mapped here");
    CHECK(story(page, true) == expected);
}

}  // namespace

TEST_CASE("9.2: a long-term pin for writing of private memory pins a copy, whatever is behind it") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say("0 0 2 3 0", backing::zero_page, sharing::by_copy);
    both_say("0 1 2 3 1", backing::memfd, sharing::by_copy);
    both_say("0 1 2 3 1", backing::tmpfile, sharing::by_copy);
}

TEST_CASE("9.2: a long-term pin for writing of shared memory pins the object's page") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say("0 1 2 3 3", backing::memfd, sharing::shared);
    both_say("0 0 2 3 0", backing::zero_page, sharing::shared);
}

TEST_CASE("9.2: a long-term pin for writing of a shared file on a disk is refused") {
    if (!kernel_has_io_uring()) return skip("io_uring is not available");
    both_say("-1 1 1", backing::tmpfile, sharing::shared);
}

TEST_CASE("9.1: a long-term pin for reading of private memory sees what its owner writes later") {
    model_says("0 0 2 2 0", backing::zero_page, sharing::by_copy, {});
    model_says("0 1 2 2 1", backing::memfd, sharing::by_copy, {});
    model_says("0 1 2 2 1", backing::tmpfile, sharing::by_copy, {});
}

TEST_CASE("9.2: a long-term pin for reading of shared memory pins the object's page") {
    model_says("0 1 2 2 2", backing::memfd, sharing::shared, {});
    model_says("0 1 2 2 2", backing::tmpfile, sharing::shared, {});
}
