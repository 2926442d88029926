// SPDX-License-Identifier: BSL-1.0
#pragma once

// The library's only macros. Everything here is about compilers, nothing about behaviour: behaviour
// is chosen by template parameters (Machine, profile, PageFormat, ...), so that two choices can
// live in one program.

#define MMHOLD_VERSION_MAJOR 0
#define MMHOLD_VERSION_MINOR 1
#define MMHOLD_VERSION_PATCH 0

// [[no_unique_address]] under the spelling the compiler honours.
#if defined(_MSC_VER)
#define MMHOLD_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#else
#define MMHOLD_NO_UNIQUE_ADDRESS [[no_unique_address]]
#endif

// Clang's static lock analysis (-Wthread-safety); empty elsewhere. The guard of a field is written
// on the field.
#if defined(__clang__)
#define MMHOLD_THREAD_ANNOTATION(text) __attribute__((text))
#else
#define MMHOLD_THREAD_ANNOTATION(text)
#endif
#define MMHOLD_CAPABILITY(name) MMHOLD_THREAD_ANNOTATION(capability(name))
#define MMHOLD_SCOPED_CAPABILITY MMHOLD_THREAD_ANNOTATION(scoped_lockable)
#define MMHOLD_GUARDED_BY(lock) MMHOLD_THREAD_ANNOTATION(guarded_by(lock))
#define MMHOLD_PT_GUARDED_BY(lock) MMHOLD_THREAD_ANNOTATION(pt_guarded_by(lock))
#define MMHOLD_REQUIRES(...) MMHOLD_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define MMHOLD_REQUIRES_SHARED(...) \
    MMHOLD_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define MMHOLD_ACQUIRE(...) MMHOLD_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define MMHOLD_RELEASE(...) MMHOLD_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define MMHOLD_TRY_ACQUIRE(...) MMHOLD_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define MMHOLD_NO_THREAD_SAFETY_ANALYSIS MMHOLD_THREAD_ANNOTATION(no_thread_safety_analysis)
