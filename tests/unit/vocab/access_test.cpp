// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/access.hpp>

using namespace mmhold;

TEST_CASE("a protection permits exactly what it names") {
    CHECK(permits(prot::r, access::read));
    CHECK_FALSE(permits(prot::r, access::write));
    CHECK_FALSE(permits(prot::r, access::execute));
    CHECK(permits(prot::w, access::write));
    CHECK_FALSE(permits(prot::w, access::read));
    CHECK(permits(prot::rx, access::execute));
    CHECK_FALSE(permits(prot::rw, access::execute));
    for (auto const wanted : {access::read, access::write, access::execute}) {
        CHECK(permits(prot::rwx, wanted));
        CHECK_FALSE(permits(prot::none, wanted));
    }
}

TEST_CASE("an access outside the enumeration is never permitted") {
    CHECK_FALSE(permits(prot::rwx, static_cast<mmhold::access>(99)));
}

TEST_CASE("a fresh cpu has every protection-key right") {
    protection_key_rights const all{};
    for (std::uint8_t key = 0; key < 16; ++key) {
        CHECK(all.permit(key, access::read));
        CHECK(all.permit(key, access::write));
        CHECK(all.permit(key, access::execute));
    }
}

TEST_CASE("access-disable forbids data accesses of its key, never execution") {
    auto const rights = protection_key_rights{}.with(3, 1);
    CHECK_FALSE(rights.permit(3, access::read));
    CHECK_FALSE(rights.permit(3, access::write));
    CHECK(rights.permit(3, access::execute));
    CHECK(rights.permit(2, access::write));
    CHECK(rights.permit(4, access::write));
}

TEST_CASE("write-disable leaves reading") {
    auto const rights = protection_key_rights{}.with(15, 2);
    CHECK(rights.permit(15, access::read));
    CHECK_FALSE(rights.permit(15, access::write));
    CHECK(rights.pkru == 0x8000'0000U);
}

TEST_CASE("setting a key's rights replaces the old ones and no others") {
    auto const first = protection_key_rights{}.with(1, 3).with(2, 1);
    auto const second = first.with(1, 0);
    CHECK(second.permit(1, access::write));
    CHECK_FALSE(second.permit(2, access::read));
    CHECK(second == protection_key_rights{}.with(2, 1));
}

TEST_CASE("only the four low bits of a key and the two low bits of rights count") {
    CHECK(protection_key_rights{}.with(16 + 5, 1) == protection_key_rights{}.with(5, 1));
    CHECK(protection_key_rights{}.with(5, 0xff) == protection_key_rights{}.with(5, 3));
    CHECK_FALSE(protection_key_rights{}.with(5, 1).permit(16 + 5, access::read));
}
