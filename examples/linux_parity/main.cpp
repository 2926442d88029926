// SPDX-License-Identifier: BSL-1.0
// The grid "kind of memory × caller of gup", live on the running kernel and on the model.
#include "page.hpp"
#include "table.hpp"
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

int main(int count, char** words) {
    std::string html;
    std::string folder = ".";
    for (int i = 1; i < count; ++i) {
        auto const word = std::string_view{words[i]};
        auto const has_value = i + 1 < count;
        if (word == "--html" && has_value) {
            html = words[++i];
        } else if (word == "--folder" && has_value) {
            folder = words[++i];
        } else {
            std::cerr
                << "usage: linux_parity [--html FILE] [--folder DIR for a file of O_DIRECT]\n";
            return word == "--help" ? 0 : 2;
        }
    }
    auto const measured = parity::measure(folder);
    parity::print_table(std::cout, measured);
    if (!html.empty()) {
        std::ofstream file{html};
        parity::write_page(file, measured);
        if (!file.flush()) {
            std::cerr << html << ": cannot be written\n";
            return 2;
        }
        std::cout << "written: " << html << "\n";
    }
    return measured.count(parity::cell::state::different) == 0 ? 0 : 1;
}
