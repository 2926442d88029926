// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/callers/user_access.hpp>
#include <mmhold/callers/user_range.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/fault/special.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/hugetlb_pool.hpp>

#include "model_side.hpp"
#include "step.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

namespace parity {

using namespace mmhold;

/// Checked: whoever breaks a rule of the library inside a script ends the program.
using machine = checked_host_machine;
using config = default_config<machine>;
using space_type = address_space<config>;
using cpu_type = space_type::cpu_type;
using faults_type = userfault<space_type>;
using object_type = page_cache<space_type>;
using file_type = file_object<space_type>;

/// A pager of the model: answers events as its twin in linux_layout does.
class model_pager {
public:
    model_pager(space_type& mm, faults_type& faults)
        : faults_{faults}, me_{mm.domain()}, thread_{[this] { serve(); }} {}
    ~model_pager() { thread_.join(); }
    std::uint32_t events() const { return events_.load(); }

private:
    void serve();
    /// Answers what is not a missing page (model_uffd). False: it is one.
    bool serve_other(userfault_event const& event);

    faults_type& faults_;
    cpu_type me_;
    std::atomic<std::uint32_t> events_{0};
    std::thread thread_;
};

/// A userfaultfd of the model and its pager, if it has one.
struct fault_server {
    std::unique_ptr<faults_type> faults;
    std::unique_ptr<model_pager> pager;
    space_type* mm{nullptr};  ///< whose pages it supplies, if not this process's
};

/// What the kernel answers where the library says this.
template<class T>
std::int64_t linux_value(result<T> const& got) {
    if (!got) return -to_errno(got.error());
    if constexpr (std::is_integral_v<T>) return static_cast<std::int64_t>(*got);
    return 0;
}

/// Drivers and the vdso (model_special).
struct model_specials;
struct specials_deleter {
    void operator()(model_specials* those) const;
};

/// fork's child that reads one byte (model_told).
struct forked_child {
    ~forked_child();

    std::unique_ptr<space_type> mm{};
    std::vector<std::unique_ptr<faults_type>> faults{};  ///< of which no pager has heard yet
    std::thread reader{};
    std::atomic<int> says{0};  ///< what it has read, and one more
};

/// An address space and what it is made of.
struct model_world {
    /// With enough memory for `steps`.
    model_world(surroundings const& where, script const& steps)
        : frames{where.frames != 0 ? page_count{where.frames} : frames_for(steps),
                 frame_bytes::owned},
          swap{page_count{where.has_swap ? 256U : 0U}, frame_bytes::owned},
          tables{page_count{where.tables}} {
        if (where.has_swap) mm.use_swap(swap);
    }

    /// When every process has ended: the frames that are not free again.
    std::uint64_t lost() {
        frames.release_zero_folio();
        auto const now = frames.statistics();
        return now.capacity - now.free;
    }

    static page_count frames_for(script const& steps) {
        auto const large = std::ranges::any_of(steps, lies_in_large_arena);
        return page_count{large ? 16384U : 1024U};
    }

    frame_pool<machine> frames;
    memory_swap<machine> swap;
    config::tables tables;
    config::reclaimer domain{};
    space_type mm{frames, tables, domain};
    forked_child child{};
};

/// An address space of the library as the place where a script runs.
class model_process {
public:
    /// The first thread of the process that lives in `world`.
    model_process(model_world& world, surroundings const& where)
        : world_{world}, where_{where}, buffer_(most_bytes) {}
    /// Another one. It ends first.
    explicit model_process(model_process const& first)
        : world_{first.world_}, where_{first.where_}, first_{false}, buffer_(most_bytes) {}
    model_process& operator=(model_process const&) = delete;
    ~model_process();

    /// Runs one step, then looks at the memory.
    answer run(step const& one);
    /// Runs one step only: another thread may be writing to the memory.
    answer run_without_a_look(step const& one);
    /// From now on nobody serves the userfaultfds that are opened but take_event().
    void serve_by_hand() { by_hand_ = true; }
    /// The oldest event of a userfaultfd that nobody has read, if there is one: where it is.
    bool take_event(memory of, std::uint64_t& at);
    /// Is there a message that nobody has read?
    bool has_message();
    /// How many wait for a page of one of the userfaultfds.
    std::uint32_t waiting();
    /// Ends the call that this process is making.
    void kill() { me_.current().kill(); }

private:
    // model_side.cpp: the callers of gup
    std::span<std::byte> room(step const& one);
    std::span<std::byte const> pattern(step const& one);
    std::span<std::byte> cleared(step const& one);
    std::int64_t tell(std::int64_t value, std::span<std::byte const> read);
    void call(step const& one, answer& out);
    std::int64_t more_calls(step const& one, user_range range);
    void touch(access_result const& got, answer& out, bool reads);
    std::int64_t peek(virt_addr at);
    std::int64_t poke(virt_addr at);
    std::int64_t splice(step const& one, user_range range);
    std::int64_t uring(user_range range);
    std::int64_t lock(user_range range);
    std::int64_t futex(virt_addr at, mmhold::access how);
    std::int64_t wake_op(virt_addr at);
    std::int64_t wake_private(virt_addr at);
    std::int64_t change_word(virt_addr at);
    std::int64_t policy(virt_addr at);
    std::int64_t copy_to(step const& one);
    std::int64_t copy_from(step const& one);
    static std::int64_t whole_buffers(access_result const& got, std::uint64_t wanted);
    void look_around(answer& out);
    void look_at_large(answer& out);

    // model_layout.cpp, and one file for each other area
    std::int64_t layout(step const& one);
    std::int64_t core_step(step const& one);
    std::int64_t range_step(step const& one);
    std::int64_t advice_step(step const& one);
    std::int64_t remap_step(step const& one);
    std::int64_t uffd_step(step const& one);
    std::int64_t large_step(step const& one);
    std::int64_t told_step(step const& one);
    std::int64_t hear(memory of);
    std::int64_t unmap(page_span span);
    result<virt_addr> mapped(mmap_request const& request);
    std::int64_t start_reader(step const& one);
    std::int64_t ask_child();
    void end_child();
    std::int64_t map(step const& one);
    std::int64_t map_core(step const& one);
    std::int64_t map_advice(step const& one);
    std::int64_t map_uffd(step const& one);
    std::int64_t map_large(step const& one);
    void forget_unmapped_hugetlb();
    std::int64_t map_special(step const& one);
    std::int64_t map_read_only(step const& one);
    std::int64_t map_dev_zero(step const& one);
    std::int64_t map_driver(step const& one, special_traits const& traits);
    std::int64_t map_vdso();
    result<pfn> special_frame(std::span<std::byte const> contents);
    model_specials& specials();
    void end_specials();
    /// The request of a plain mapping: private or shared, at its place.
    static mmap_request plain_request(step const& one);
    mmap_request request_of_object(step const& one, mmap_request const& plain);
    std::int64_t map_device();
    space_type& new_child();
    std::int64_t start_child(unsigned how);
    std::int64_t reap();
    std::int64_t keep(user_range range);
    std::int64_t drain();
    std::int64_t register_buffers(user_range range);
    std::int64_t let_go();
    std::int64_t truncate(step const& one);
    std::int64_t punch(step const& one);
    static protection rights(unsigned prot) {
        return protection::from_bits(static_cast<std::uint8_t>(prot & 7U));
    }
    static userfault_features features_for(memory of);
    faults_type& opened(memory of);
    void close(fault_server& server);
    std::uint32_t events_so_far() const;

    std::unique_ptr<model_specials, specials_deleter> specials_{};  ///< outlives the space
    model_world& world_;
    surroundings where_;
    bool first_{true};
    frame_pool<machine>& frames_{world_.frames};
    config::tables& tables_{world_.tables};
    config::reclaimer& domain_{world_.domain};
    space_type& mm_{world_.mm};
    cpu_type me_{domain_};
    std::array<fault_server, fault_servers> servers_{};
    std::vector<fault_server> closed_{};
    struct kept_part {
        pfn page;
        std::uint64_t offset;
        std::uint64_t bytes;
    };
    std::vector<kept_part> kept_{};  ///< in the pipe
    std::vector<pfn> registered_{};  ///< with io_uring
    bool has_registered_{false};
    std::unique_ptr<hugetlb_pool<machine>> hugetlb_pool_{};
    std::vector<std::unique_ptr<hugetlb_object<space_type>>> hugetlb_objects_{};
    std::vector<std::unique_ptr<space_type>> children_{};
    struct known_object {
        std::uint64_t at;
        std::uint64_t bytes;
        object_type* object;
        memory of;
        std::uint64_t size;
        hugetlb_object<space_type>* hugetlb{nullptr};  ///< while somebody maps it
    };
    std::vector<known_object> objects_{};  ///< in the order in which they were mapped
    std::vector<std::unique_ptr<object_type>> memfds_{};
    std::vector<std::unique_ptr<file_type>> files_{};
    std::vector<std::byte> buffer_;
    std::uint64_t seed_{0};
    std::uint64_t digest_{0};
    std::uint32_t events_{0};
    bool large_in_use_{false};
    bool by_hand_{false};
};

}  // namespace parity
