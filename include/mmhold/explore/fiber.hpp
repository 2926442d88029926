// SPDX-License-Identifier: BSL-1.0
#pragma once

// fiber: several stacks on one host thread, switched by hand.
//
// An exploration runs its actors in turn, many millions of times, so a switch must cost
// nanoseconds: six registers and the stack pointer. The seam to the processor is four functions –
// create, switch_to, destroy, note_stack – written out for x86-64 and aarch64; anything else (or
// -DMMHOLD_FIBER_UCONTEXT) takes ucontext, which makes two system calls per switch. Sanitizers are
// told about every switch; without that they see one stack running wild.
//
// A fiber is never unwound. Whoever gives up an execution simply stops switching to its fibers and
// creates new ones on the same stacks; what their frames owned is forgotten. Scenarios therefore
// own memory only through the machine.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

#if defined(MMHOLD_FIBER_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
#include <ucontext.h>
#endif

// The sanitizers' runtimes, where the program is linked with one; elsewhere these are null.
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void**, void const*, std::size_t);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void*, void const**, std::size_t*);
[[gnu::weak]] void __asan_unpoison_memory_region(void const volatile*, std::size_t);
[[gnu::weak]] void* __tsan_get_current_fiber(void);
[[gnu::weak]] void* __tsan_create_fiber(unsigned);
[[gnu::weak]] void __tsan_destroy_fiber(void*);
[[gnu::weak]] void __tsan_switch_to_fiber(void*, unsigned);
}

namespace mmhold {

namespace detail {

/// Stack memory with an inaccessible page below it, so that an overflow stops at once.
class fiber_stack {
public:
    static constexpr std::size_t guard = 4096;
    static constexpr std::size_t usable = std::size_t{256} * 1024;

    fiber_stack() noexcept {
        memory_ = mmap(nullptr, guard + usable, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (memory_ == MAP_FAILED || mprotect(memory_, guard, PROT_NONE) != 0) std::abort();
    }
    fiber_stack(fiber_stack const&) = delete;
    fiber_stack& operator=(fiber_stack const&) = delete;
    ~fiber_stack() { munmap(memory_, guard + usable); }

    [[nodiscard]] char* bottom() const noexcept { return static_cast<char*>(memory_) + guard; }
    [[nodiscard]] char* top() const noexcept { return bottom() + usable; }

private:
    void* memory_{nullptr};
};

/// What runs on a fiber. It must not return.
using fiber_body = void (*)(void* argument);

#if !defined(MMHOLD_FIBER_UCONTEXT) && (defined(__x86_64__) || defined(__aarch64__))

/// The first words of a fresh stack; the entry function finds them through the stack pointer it was
/// switched to.
struct fiber_start {
    void (*entry)(void**, void*);  // popped as the address to continue at
    void* no_caller;               // ends backtraces
    fiber_body body;
    void* argument;
};

#if defined(__x86_64__)
/// Saves the stack pointer in *save and continues on the stack `load`. Both are second and first
/// argument of a function entered on a fresh stack.
#if defined(__clang__)
[[gnu::noinline]]
#else
[[gnu::noipa]]  // no guesses about which registers survive
#endif
inline void swap_stacks(void** save, void* load) noexcept {
    asm volatile(
        "leaq -128(%%rsp), %%rsp\n\t"  // step over the red zone
        "pushq %%rbp\n\t"
        "pushq %%rbx\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "movq %%rsp, (%%rdi)\n\t"
        "movq %%rsi, %%rsp\n\t"
        "popq %%rax\n\t"
        "jmpq *%%rax\n\t"
        "1:\n\t"
        "popq %%rbx\n\t"
        "popq %%rbp\n\t"
        "leaq 128(%%rsp), %%rsp\n\t"
        : "+D"(save), "+S"(load)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",
          "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}
#else
/// Saves the stack pointer in *save and continues on the stack `load`.
#if defined(__clang__)
[[gnu::noinline]]
#else
[[gnu::noipa]]  // no guesses about which registers survive
#endif
inline void swap_stacks(void** save, void* load) noexcept {
    register void** first asm("x0") = save;
    register void* second asm("x1") = load;
    asm volatile(
        "adr x9, 1f\n\t"
        "stp x9, x29, [sp, #-32]!\n\t"
        "str x30, [sp, #16]\n\t"
        "mov x9, sp\n\t"
        "str x9, [x0]\n\t"
        "mov sp, x1\n\t"
        "ldr x9, [sp]\n\t"
        "br x9\n\t"
        "1:\n\t"
        "ldr x30, [sp, #16]\n\t"
        "ldr x29, [sp, #8]\n\t"
        "add sp, sp, #32\n\t"
        : "+r"(first), "+r"(second)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
          "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "cc",
          "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
          "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
          "v26", "v27", "v28", "v29", "v30", "v31");
}
#endif

#endif

/// One flow of control. A default-constructed fiber stands for the host's own stack: switching away
/// from it fills it in.
class fiber {
public:
    fiber() noexcept = default;
    fiber(fiber const&) = delete;
    fiber& operator=(fiber const&) = delete;
    ~fiber() { destroy(); }

    /// Prepares body(argument) to run on `stack`. What ran there before is forgotten.
    void create(fiber_stack& stack, fiber_body body, void* argument) noexcept {
        note_stack(stack);
#if defined(MMHOLD_FIBER_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
        body_ = body;
        argument_ = argument;
        getcontext(&context_);
        context_.uc_stack.ss_sp = stack.bottom();
        context_.uc_stack.ss_size = fiber_stack::usable;
        context_.uc_link = nullptr;
        auto const self = reinterpret_cast<std::uintptr_t>(this);
        makecontext(&context_, reinterpret_cast<void (*)()>(&enter_by_parts), 2,
                    static_cast<unsigned>(self >> 32U), static_cast<unsigned>(self));
#else
        auto* const start = reinterpret_cast<fiber_start*>(stack.top() - 64);
        *start = fiber_start{&enter, nullptr, body, argument};
        stack_pointer_ = start;
#endif
    }

    /// Pauses `from` (which must be running) and continues `to`; returns when somebody switches
    /// back to `from`.
    static void switch_to(fiber& from, fiber& to) noexcept {
        if (__sanitizer_start_switch_fiber != nullptr) {
            __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.size_);
            arriving = &to;
            leaving = &from;
        }
        if (__tsan_switch_to_fiber != nullptr) {
            if (from.tsan_ == nullptr) from.tsan_ = __tsan_get_current_fiber();
            __tsan_switch_to_fiber(to.tsan_, 0);
        }
#if defined(MMHOLD_FIBER_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
        swapcontext(&from.context_, &to.context_);
#else
        swap_stacks(&from.stack_pointer_, to.stack_pointer_);
#endif
        arrived();
    }

    /// Forgets the fiber; it must not be running.
    void destroy() noexcept {
        if (owns_tsan_) __tsan_destroy_fiber(tsan_);
        tsan_ = nullptr;
        owns_tsan_ = false;
    }

private:
    /// Tells sanitizers that this stack begins anew.
    void note_stack(fiber_stack& stack) noexcept {
        if (__asan_unpoison_memory_region != nullptr) {
            __asan_unpoison_memory_region(stack.bottom(), fiber_stack::usable);
            bottom_ = stack.bottom();
            size_ = fiber_stack::usable;
            fake_stack_ = nullptr;
        }
        if (__tsan_create_fiber != nullptr) {
            destroy();
            tsan_ = __tsan_create_fiber(0);
            owns_tsan_ = true;
        }
    }
    /// Tells sanitizers where we came from and where we are.
    static void arrived() noexcept {
        if (__sanitizer_finish_switch_fiber == nullptr) return;
        void const* bottom = nullptr;
        std::size_t size = 0;
        __sanitizer_finish_switch_fiber(arriving->fake_stack_, &bottom, &size);
        if (leaving->bottom_ == nullptr) {
            leaving->bottom_ = bottom;
            leaving->size_ = size;
        }
    }
#if defined(MMHOLD_FIBER_UCONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
    static void enter_by_parts(unsigned high, unsigned low) noexcept {
        auto* const self =
            reinterpret_cast<fiber*>((static_cast<std::uintptr_t>(high) << 32U) | low);
        arrived();
        self->body_(self->argument_);
        std::abort();
    }

    ucontext_t context_{};
    fiber_body body_{nullptr};
    void* argument_{nullptr};
#else
    static void enter(void**, void* stack_pointer) noexcept {
        auto* const start = static_cast<fiber_start*>(stack_pointer);
        arrived();
        start->body(start->argument);
        std::abort();
    }

    void* stack_pointer_{nullptr};
#endif
    inline static thread_local fiber* arriving = nullptr;
    inline static thread_local fiber* leaving = nullptr;
    void const* bottom_{nullptr};
    std::size_t size_{0};
    void* fake_stack_{nullptr};
    void* tsan_{nullptr};
    bool owns_tsan_{false};
};

}  // namespace detail

}  // namespace mmhold
