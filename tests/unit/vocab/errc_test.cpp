// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/errc.hpp>

#include <cerrno>
#include <set>
#include <string_view>

using namespace mmhold;

namespace {

constexpr errc all[] = {errc::ok,        errc::interrupted,      errc::io,  errc::again,
                        errc::no_memory, errc::bad_address,      errc::busy,
                        errc::exists,    errc::invalid_argument, errc::not_supported,
                        errc::overflow,  errc::remote_io,        errc::hardware_poison,
                        errc::lock_not_held, errc::access_denied, errc::no_device};

}  // namespace

TEST_CASE("1.2 every errc is the errno of its name") {
    CHECK(to_errno(errc::ok) == 0);
    CHECK(to_errno(errc::interrupted) == EINTR);
    CHECK(to_errno(errc::io) == EIO);
    CHECK(to_errno(errc::again) == EAGAIN);
    CHECK(to_errno(errc::no_memory) == ENOMEM);
    CHECK(to_errno(errc::access_denied) == EACCES);
    CHECK(to_errno(errc::bad_address) == EFAULT);
    CHECK(to_errno(errc::no_device) == ENODEV);
    CHECK(to_errno(errc::busy) == EBUSY);
    CHECK(to_errno(errc::exists) == EEXIST);
    CHECK(to_errno(errc::invalid_argument) == EINVAL);
    CHECK(to_errno(errc::not_supported) == EOPNOTSUPP);
    CHECK(to_errno(errc::overflow) == EOVERFLOW);
    CHECK(to_errno(errc::remote_io) == EREMOTEIO);
    CHECK(to_errno(errc::hardware_poison) == EHWPOISON);
    CHECK(to_errno(errc::lock_not_held) == ENOLCK);
}

TEST_CASE("errc and errno convert both ways") {
    for (auto const error : all) CHECK(from_errno(to_errno(error)) == error);
}

TEST_CASE("a number outside the closed set is an invalid argument") {
    for (int const number : {-14, -1, 1, ENXIO, 132, 134, 255, 256 + 14, 100'000}) {
        INFO(number);
        CHECK(from_errno(number) == errc::invalid_argument);
    }
}

TEST_CASE("every errc has a name and a sentence of its own") {
    std::set<std::string_view> names;
    std::set<std::string_view> sentences;
    for (auto const error : all) {
        names.insert(errno_name(error));
        sentences.insert(describe(error));
    }
    CHECK(names.size() == std::size(all));
    CHECK(sentences.size() == std::size(all));
    CHECK(errno_name(errc::bad_address) == "EFAULT");
    CHECK(names.count("?") == 0);
}

TEST_CASE("a value outside the enumeration still has a name") {
    CHECK(errno_name(static_cast<errc>(200)) == "?");
    CHECK(describe(static_cast<errc>(200)) == "unknown error");
}
