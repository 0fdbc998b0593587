/* SPDX-License-Identifier: MIT */
/*
 * Reclamation: liburcu's quiescent-state flavour, and the two words that the
 * thread sanitizer needs to see it.
 *
 * Every thread that reads a shared table calls rcu_register_thread() once and
 * stays *offline*; it brackets each turn of work (a burst, a command, a
 * handshake) with rcu_turn_begin() and rcu_turn_end(). Pointers read inside a
 * turn stay valid until its end, and a thread asleep in its loop delays nobody.
 */
#ifndef BERTH_BASE_RCU_H
#define BERTH_BASE_RCU_H

#include <stdatomic.h>
#include <stdint.h>
#include <urcu-qsbr.h>

/*
 * liburcu is not instrumented, so the sanitizer cannot know that a grace
 * period orders a reader's last access before the writer's free(). The pair
 * below states it; without the sanitizer both are nothing.
 */
#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif
#ifdef RCU_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define rcu_tsan_acquire(addr) __tsan_acquire((void *)(addr))
#define rcu_tsan_release(addr) __tsan_release((void *)(addr))
/*
 * Once in each program: what the sanitizer is not to say of liburcu's own
 * threads, which get memory under locks and futexes that it does not see. It
 * knows them by the stack of the older access, so the longest history it has is
 * kept; and a program, or a test, need not wait a second at its end.
 */
#define RCU_PROGRAM                                                 \
	const char *__tsan_default_suppressions(void);              \
	const char *__tsan_default_suppressions(void)               \
	{                                                           \
		return "race:urcu_qsbr_barrier\n"                   \
		       "called_from_lib:liburcu-cds.so\n";          \
	}                                                           \
	const char *__tsan_default_options(void);                   \
	const char *__tsan_default_options(void)                    \
	{                                                           \
		return "history_size=7 atexit_sleep_ms=0";          \
	}
#else
#define RCU_PROGRAM
#define rcu_tsan_acquire(addr) ((void)(addr))
#define rcu_tsan_release(addr) ((void)(addr))
#endif

/* One address for all files of the program; for the sanitizer only. */
#define rcu_tsan_grace() ((void *)(uintptr_t)synchronize_rcu)

static inline void rcu_turn_begin(void)
{
	rcu_thread_online();
}

static inline void rcu_turn_end(void)
{
	rcu_tsan_release(rcu_tsan_grace());
	rcu_thread_offline();
}

/* First statement of every call_rcu() callback. */
static inline void rcu_grace_passed(void)
{
	rcu_tsan_acquire(rcu_tsan_grace());
}

/*
 * Returns when all that was given to call_rcu() before has been called: rcu_barrier(), but
 * that one asks for memory and ends the process when there is none. Here no thread has a
 * call_rcu() thread of its own, so what is given last is called last. Outside a turn.
 */
void rcu_settle(void);

/* Shared pointers are C11 atomics: published whole, read with their content. */
#define rcu_publish(ptr, value) atomic_store_explicit(ptr, value, memory_order_release)
#define rcu_read(ptr) atomic_load_explicit(ptr, memory_order_acquire)

#endif
