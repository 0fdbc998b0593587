/* SPDX-License-Identifier: MIT */
/* An eBPF program that hashes flows. */
#include "steer.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Instructions, as linux/filter.h writes them in the kernel's own tree. */
#define ALU64(op, dst, value) { BPF_ALU64 | BPF_##op | BPF_K, dst, 0, 0, value }
#define ALU64_REG(op, dst, src) { BPF_ALU64 | BPF_##op | BPF_X, dst, src, 0, 0 }
#define JUMP(op, dst, value, skip) { BPF_JMP | BPF_##op | BPF_K, dst, 0, skip, value }
#define JUMP_ALWAYS(skip) { BPF_JMP | BPF_JA, 0, 0, skip, 0 }
#define EXIT() { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 }
/* R0 becomes what stands at an offset in the IP header; behind the packet's end: returns 0. */
#define LOAD(size, at) { BPF_LD | BPF_ABS | BPF_##size, 0, 0, 0, SKF_NET_OFF + (at) }
#define LOAD_BEHIND(size, reg, at) { BPF_LD | BPF_IND | BPF_##size, 0, reg, 0, SKF_NET_OFF + (at) }
/* R8, the hash, takes R0 in. */
#define TAKE_IN() ALU64(MUL, BPF_REG_8, 31), ALU64_REG(ADD, BPF_REG_8, BPF_REG_0)
#define TAKE_WORD(at) LOAD(W, at), TAKE_IN()

enum { IP_FRAGMENT = 0x3fff /* more of it, or an offset */ };

/*
 * Addresses, and the ports of TCP and UDP unless the packet is a fragment (of which all
 * but the first have none). The numbers are jumps: instructions to skip.
 */
static const struct bpf_insn program[] = {
	/*  0 */ ALU64_REG(MOV, BPF_REG_6, BPF_REG_1), /* where LOAD finds the packet */
	/*  1 */ ALU64(MOV, BPF_REG_8, 0),
	/*  2 */ LOAD(B, 0),
	/*  3 */ ALU64_REG(MOV, BPF_REG_7, BPF_REG_0),
	/*  4 */ ALU64(RSH, BPF_REG_0, 4),
	/*  5 */ JUMP(JEQ, BPF_REG_0, 6, 17), /* to 23 */

	/* IPv4 */
	/*  6 */ TAKE_WORD(12),
	/*  9 */ TAKE_WORD(16),
	/* 12 */ LOAD(H, 6),
	/* 13 */ JUMP(JSET, BPF_REG_0, IP_FRAGMENT, 39), /* to 53 */
	/* 14 */ LOAD(B, 9),
	/* 15 */ JUMP(JEQ, BPF_REG_0, 6, 1),
	/* 16 */ JUMP(JNE, BPF_REG_0, 17, 36), /* to 53 */
	/* 17 */ ALU64(AND, BPF_REG_7, 15),
	/* 18 */ ALU64(LSH, BPF_REG_7, 2),
	/* 19 */ LOAD_BEHIND(W, BPF_REG_7, 0),
	/* 20 */ TAKE_IN(),
	/* 22 */ JUMP_ALWAYS(30), /* to 53 */

	/* IPv6 */
	/* 23 */ TAKE_WORD(8),
	/* 26 */ TAKE_WORD(12),
	/* 29 */ TAKE_WORD(16),
	/* 32 */ TAKE_WORD(20),
	/* 35 */ TAKE_WORD(24),
	/* 38 */ TAKE_WORD(28),
	/* 41 */ TAKE_WORD(32),
	/* 44 */ TAKE_WORD(36),
	/* 47 */ LOAD(B, 6),
	/* 48 */ JUMP(JEQ, BPF_REG_0, 6, 1),
	/* 49 */ JUMP(JNE, BPF_REG_0, 17, 3), /* to 53 */
	/* 50 */ TAKE_WORD(40),

	/* The kernel divides by the number of queues: every bit counts at the bottom. */
	/* 53 */ ALU64(MUL, BPF_REG_8, 0x61c88647),
	/* 54 */ ALU64_REG(MOV, BPF_REG_0, BPF_REG_8),
	/* 55 */ ALU64(RSH, BPF_REG_0, 16),
	/* 56 */ ALU64(AND, BPF_REG_0, 0xffff),
	/* 57 */ EXIT(),
};

static int program_fd; /* or -errno */

static void load_program(void)
{
	static const char license[] = "Dual MIT/GPL";
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)program;
	attr.insn_cnt = ARRAY_SIZE(program);
	attr.license = (uintptr_t)license;
	/* Close-on-exec by itself. */
	program_fd = (int)syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (program_fd < 0)
		program_fd = -errno;
}

int steer_flows(int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load_program);
	if (program_fd < 0)
		return program_fd;
	return ioctl(fd, TUNSETSTEERINGEBPF, &program_fd) ? -errno : 0;
}
