// SPDX-License-Identifier: BSL-1.0
#include <mmhold/mmhold.hpp>

#include <cstdio>

int main() {
    using mmhold::errc;
    std::puts(mmhold::errno_name(errc::bad_address).data());
    return mmhold::to_errno(errc::ok);
}
