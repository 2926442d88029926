// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <unistd.h>

namespace parity {

/// While it lives, the machine has this many free pages of hugetlb that nobody was promised, and
/// nobody else who asks in this way has any.
class free_hugetlb {
public:
    explicit free_hugetlb(std::uint64_t pages)
        : setting_{open("/proc/sys/vm/nr_hugepages", O_RDWR | O_CLOEXEC)} {
        if (setting_ < 0) return;
        flock(setting_, LOCK_EX);
        before_ = meminfo("HugePages_Total") - meminfo("HugePages_Surp");
        // Processes that are still ending hold some.
        auto const taken = meminfo("HugePages_Total") - meminfo("HugePages_Free");
        set(taken + meminfo("HugePages_Rsvd") + pages);
        offered_ = meminfo("HugePages_Free") - meminfo("HugePages_Rsvd") == pages;
    }
    free_hugetlb(free_hugetlb const&) = delete;
    free_hugetlb& operator=(free_hugetlb const&) = delete;
    ~free_hugetlb() {
        if (setting_ < 0) return;
        set(before_);
        flock(setting_, LOCK_UN);  // whoever has inherited it
        close(setting_);
    }
    /// Are there so many?
    [[nodiscard]] bool offered() const { return offered_; }

private:
    /// A number of /proc/meminfo.
    static std::uint64_t meminfo(std::string_view name) {
        std::ifstream file{"/proc/meminfo"};
        for (std::string word; file >> word;) {
            std::uint64_t number = 0;
            auto const is_name = word.ends_with(':') && word.substr(0, word.size() - 1) == name;
            if (is_name && file >> number) return number;
        }
        return 0;
    }
    void set(std::uint64_t pages) const {
        auto const text = std::to_string(pages);
        (void)!pwrite(setting_, text.data(), text.size(), 0);
    }

    int setting_;
    std::uint64_t before_{0};
    bool offered_{false};
};

}  // namespace parity
