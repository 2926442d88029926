// SPDX-License-Identifier: BSL-1.0
#pragma once

// The index: the public names of the library in rank order, each beside the header that defines it.
// Includes the concepts, which cost little, and no model. The concepts themselves stand in
//   machine/machine.hpp      Machine           observe/observer.hpp      Observer
//   reclaim/reclaimer.hpp    Reclaimer         lock/mm_lock.hpp          MmLock
//   paging/page_format.hpp   PageFormat        paging/table_memory.hpp   TableMemory
//   space/space_config.hpp   SpaceConfig       walk/page_walker.hpp      PageWalker
//   space/swap_store.hpp     SwapStore
//   fault/fault_handler.hpp  FaultHandler      gup/profile.hpp           GupProfile

#include <mmhold/concepts.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace mmhold {

// 0 vocab/
struct virt_addr;                  // address.hpp
struct pfn;                        // address.hpp
struct page_count;                 // page_span.hpp
class page_span;                   // page_span.hpp
enum class access : std::uint8_t;  // access.hpp
struct protection_key_rights;      // access.hpp
enum class errc : std::uint8_t;    // errc.hpp
template<class Flag>
requires std::is_enum_v<Flag>
class flag_set;                         // flag_set.hpp
enum class gup_flag : std::uint32_t;    // gup_flags.hpp
enum class holding : std::uint8_t;      // gup_flags.hpp
enum class fault_flag : std::uint16_t;  // fault_flags.hpp
template<class T>
class result;       // result.hpp
struct gup_result;  // gup_result.hpp

// 1 machine/
struct host_machine;          // host_machine.hpp
struct checked_host_machine;  // host_machine.hpp
struct constexpr_machine;     // constexpr_machine.hpp
template<Machine M>
class task;  // task.hpp

// 2 observe/
struct event;          // observer.hpp
struct null_observer;  // null_observer.hpp
template<Machine M>
class counters;  // counters.hpp
template<Machine M>
class ring_buffer;  // ring_buffer.hpp
// attributed.hpp: attributed
// json_writer.hpp: json_writer
// trace_writer.hpp: trace_writer

// 3 reclaim/
struct retired_object;  // retired.hpp
template<Reclaimer R>
class cpu;  // cpu.hpp
template<Reclaimer R>
class irq_section;  // irq_section.hpp
template<Machine M>
class hazard_record;  // hazard_record.hpp
template<Machine M, std::size_t Batch>
class hazard_domain;  // hazard_domain.hpp
template<Reclaimer R, std::invocable Flush, class Release>
class gather;  // gather.hpp

// 4 lock/
template<class L>
class held_shared;  // held.hpp
template<class L>
class held_exclusive;  // held.hpp
template<class L>
class lock_dropped;  // held.hpp
template<class L>
class droppable;  // held.hpp
template<class L>
class lock_authority;  // held.hpp
template<Machine M>
class spin_lock;  // spin_lock.hpp
template<Machine M>
class spin_guard;  // spin_lock.hpp
template<Machine M>
class wait_queue;  // wait_queue.hpp
template<Machine M>
class rw_lock;  // rw_lock.hpp
template<Machine M>
class big_lock;  // big_lock.hpp
template<Machine M>
class null_lock;  // null_lock.hpp
template<Machine M>
class seq_count;  // seq_count.hpp
template<MmLock L, Observer O, Machine M>
class observed_lock;  // observed_lock.hpp

// 5 paging/
struct page_entry;  // page_format.hpp
template<unsigned Levels>
requires(Levels == 4 || Levels == 5)
struct x86_64;  // x86_64.hpp
template<PageFormat F, Reclaimer R>
class host_tables;  // host_tables.hpp
template<Machine M>
class torn_entry;  // torn_entry.hpp
template<PageFormat F, TableMemory T>
class table_guard;  // table_guard.hpp
template<PageFormat F, TableMemory T>
class leaf_guard;  // table_guard.hpp
template<PageFormat F, TableMemory T>
requires std::same_as<typename T::format, F>
class table_tree;  // table_tree.hpp
template<PageFormat F, TableMemory T>
requires std::same_as<typename T::format, F>
class page_table;  // page_table.hpp

// 6 space/
enum class frame_mobility : std::uint8_t;  // frame.hpp
template<Machine M>
class striped_count;  // striped_count.hpp
template<Machine M>
class frame_table;  // frame_table.hpp
template<Machine M>
class frame_pool;  // frame_pool.hpp
// pinned.hpp: pinned
struct vma;  // vma.hpp
template<class L>
class vma_ref;       // vma.hpp
class fault_source;  // vma.hpp
class memory_object;  // vma.hpp
enum class family_origin : std::uint8_t;  // page_family.hpp
class page_family;                        // page_family.hpp
template<Machine M>
class vma_map;                             // vma_map.hpp
enum class mapping_origin : std::uint8_t;  // mmap_request.hpp
struct mmap_request;                       // mmap_request.hpp
template<Machine M>
class layout;  // layout.hpp
template<Machine M>
class entry_rights;  // entry_rights.hpp
template<Machine M>
class resident_set;  // resident_set.hpp
template<class Space>
class unmapped_pages;  // unmapped_pages.hpp
template<Machine M>
class page_index;  // page_index.hpp
template<class Space>
class mapping_stretch;  // object_mappings.hpp
template<class Space>
class object_mappings;  // object_mappings.hpp
template<class Space>
class object_link;  // object_link.hpp
template<Machine M>
class writer_brake;  // page_cache.hpp
template<class Space>
class mapped_object;  // mapped_object.hpp
template<class Space>
class page_cache;  // page_cache.hpp
// copy_frame.hpp: copy_frame, allocate_copy_of
// entry_frame.hpp: maps_frame, maps_anonymous
// object_bytes.hpp: read_object, write_object
template<Machine M>
class hugetlb_pool;  // hugetlb_pool.hpp
template<class Space>
class hugetlb_object;  // hugetlb_object.hpp; and map_hugetlb, map_hugetlb_locked
template<Machine M>
struct default_config;  // space_config.hpp
template<Machine M>
class memory_swap;  // swap_store.hpp
// address_space.hpp: address_space
enum class page_marker : std::uint8_t;  // page_marker.hpp
// split_folio.hpp: split_folio_at, share_zeroes_at, split_sharing_zeroes_at
enum class advise_large : std::uint8_t;  // advise_large.hpp; and advise_large_folios
enum class marking_advice : std::uint8_t;  // marking_advice.hpp; and mark_mappings
// cool_down.hpp: cool_down
template<class Space>
class taken_page;  // taken_page.hpp
// numa_hints.hpp: mark_numa_hints, mark_numa_hints_locked, is_numa_hint, takes_numa_hints
// memory_failure.hpp: memory_failure, soft_offline
// migrate.hpp: migrate_page     swap_out.hpp: swap_out_page, page_out, page_out_locked
struct default_heir;  // fork.hpp; and fork, fork_locked
// advised_range.hpp: for_each_advised, change_advised_flags
// guard.hpp: guard_install, guard_remove; stack_growth.hpp: expand_stack; each also _locked
enum class at_fork : std::uint8_t;  // fork_advice.hpp; and fork_advice, fork_advice_locked
// lazy_free.hpp: lazy_free, lazy_free_locked, drop_lazy_page; reclaim_lazy.hpp: reclaim_lazy_free
// remove.hpp: remove_pages, remove_pages_locked
enum class mremap_flag : std::uint8_t;  // mremap.hpp; and mremap, mremap_locked
enum class remap_part : std::uint8_t;   // mremap.hpp; and RemapListener
enum class old_mapping : std::uint8_t;  // mremap.hpp
template<Machine M>
class protection_keys;  // protection_keys.hpp; and pkey_alloc, pkey_free, pkey_mprotect, keyed_mmap

// 7 walk/
struct walk_request;  // page_walker.hpp
struct walk_answer;   // page_walker.hpp
template<PageFormat Format>
class descent;  // descent.hpp
template<class Space>
class locked_walker;                      // locked_walker.hpp
enum class table_recheck : std::uint8_t;  // lockless_walker.hpp
template<class Space, table_recheck Recheck>
class lockless_walker;  // lockless_walker.hpp

// 8 fault/
struct fault_request;  // fault_handler.hpp
template<class L, Machine M>
class fault_outcome;  // fault_outcome.hpp
enum class fatal_signal : std::uint8_t;  // fault_outcome.hpp
template<Machine M>
class waitable;  // wait_ticket.hpp
template<Machine M>
class wait_ticket;  // wait_ticket.hpp
struct fault_site;  // fault_site.hpp
template<class Space>
class anonymous;  // anonymous.hpp
template<class Space>
class large_folio;  // large_folio.hpp
// collapse_large.hpp: collapse_large, collapse_large_locked
template<class Space>
class copy_on_write;  // copy_on_write.hpp
template<class Space>
class swap_in;  // swap_in.hpp
template<class Space>
class swap_wait;  // swap_wait.hpp; and await_slot
// read_wait.hpp: wait_for_read
template<Machine M>
class slow_swap;  // slow_swap.hpp
template<class Space>
class present_page;  // present_page.hpp
class page_answer;   // present_page.hpp
template<class Space>
class hugetlb;  // hugetlb.hpp
enum class userfault_mode : std::uint8_t;        // userfault_modes.hpp
enum class userfault_feature : std::uint16_t;    // userfault_modes.hpp
enum class userfault_protection : std::uint8_t;  // userfault_modes.hpp
enum class userfault_holes : std::uint8_t;       // userfault_move.hpp
template<Machine M>
class userfault_protector;  // userfault_protect.hpp
template<Machine M>
class userfault_notice;  // userfault_queue.hpp
template<Machine M>
class userfault_queue;  // userfault_queue.hpp
template<class Space>
class userfault;  // userfault.hpp
template<Machine M>
class userfault_tickets;  // userfault_notices.hpp; and tell_before_removal, fork_telling,
                          // munmap_telling, mmap_telling, mremap_telling
template<class T, Machine M>
struct told;  // userfault_notices.hpp
struct page_request;  // page_request.hpp
template<class Space>
class page_source;  // page_source.hpp
template<Machine M>
class page_reads;  // page_reads.hpp
template<class Space>
class file_object;  // file_object.hpp
template<class Space>
class fault_around;  // fault_around.hpp
template<class Space>
class file_backed;  // file_backed.hpp
template<class Space>
class blocking;  // blocking.hpp
template<class Space>
class custom_source;  // custom_source.hpp
struct special_page;  // special.hpp
template<class Space>
class special_source;  // special.hpp
template<class Space>
class special_frames;  // special.hpp
template<class Space>
class special_numbers;  // special.hpp; and insert_page, insert_number
template<class Space>
class dispatch;  // dispatch.hpp
template<Machine M, class Node>
class wait_line;  // wait_line.hpp

// 9 gup/
struct linux_6_18;  // profile.hpp
struct rfc_2014;    // profile.hpp
struct gup_call;    // operation.hpp
struct gup_need;    // operation.hpp
template<PageWalker W, class L, Machine M, GupProfile P>
requires WalkStepper<W, held_shared<L> const>
class gup_operation;  // operation.hpp
template<LocklessWalker W>
class fast_operation;  // fast_operation.hpp
template<class L, class H, PageWalker W, class F, Observer O>
struct composition;  // compose.hpp
class gup_output;    // gup.hpp
template<class Mm>
struct longterm_mover;  // longterm.hpp
// gup.hpp       gup, gup_locked, gup_unlocked, pin, pin_locked, pin_unlocked
// gup_fast.hpp  gup_fast, gup_fast_only, pin_fast, pin_fast_only
// remote.hpp    gup_remote, pin_remote
// faultin.hpp   gup_faultin
// unpin.hpp     unpin, put_pages
struct memfd_pins;  // memfd_pin.hpp; and memfd_pin

// 10 callers/
struct user_range;           // user_range.hpp
struct futex_key;            // futex_key.hpp
enum class trap : std::uint8_t;  // user_access.hpp
// core_dump.hpp         get_dump_page
// direct_io.hpp         direct_io_read, direct_io_write
// fixup_user_fault.hpp  fixup_user_fault, fixup_user_fault_unlocked
// futex_key.hpp         get_futex_key
// kvm.hpp               find_guest_page
enum class discard_how : std::uint8_t;  // madvise.hpp; and discard
enum class advice : std::uint8_t;       // madvise.hpp; and madvise
// mlock.hpp             mlock_pages, munlock_pages
// populate.hpp          madvise_populate
// process_vm.hpp        process_vm_read, process_vm_write
// remote_access.hpp     proc_mem_read, proc_mem_write, ptrace_peek, ptrace_poke
// single_read.hpp       look_at_page
// uring_buffers.hpp     uring_register
// user_access.hpp       read_user, write_user
// video_capture.hpp     pin_capture_buffer
// vmsplice.hpp          vmsplice

// 11 adapt/   std_shared_mutex.hpp (std_shared_mutex), ranges.hpp (page_addresses, contiguous_runs)
// 12 explore/ model_machine.hpp (model_machine), plan.hpp (plan), history.hpp (history),
//             scenario_book.hpp (scenario_book)
// 12 laws/    law_report.hpp (law_report); <concept>_laws in a header per concept

}  // namespace mmhold
