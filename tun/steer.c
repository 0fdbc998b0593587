/* SPDX-License-Identifier: MIT */
/* eBPF programs that choose a queue, and the same in C. */
#include "steer.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker.h"

/* Instructions, as linux/filter.h writes them in the kernel's own tree. */
#define ALU64(op, dst, value) { BPF_ALU64 | BPF_##op | BPF_K, dst, 0, 0, value }
#define ALU64_REG(op, dst, src) { BPF_ALU64 | BPF_##op | BPF_X, dst, src, 0, 0 }
#define JUMP(op, dst, value, skip) { BPF_JMP | BPF_##op | BPF_K, dst, 0, skip, value }
#define JUMP_ALWAYS(skip) { BPF_JMP | BPF_JA, 0, 0, skip, 0 }
#define EXIT() { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 }
/* R0 becomes what stands at an offset in the IP header; behind the packet's end: returns 0. */
#define LOAD(size, at) { BPF_LD | BPF_ABS | BPF_##size, 0, 0, 0, SKF_NET_OFF + (at) }
/* R8, the hash, takes a word in, as take_in() does. */
#define TAKE_WORD(at)                                                                          \
	LOAD(W, at), ALU64(MUL, BPF_REG_8, FACTOR), ALU64_REG(ADD, BPF_REG_8, BPF_REG_0)

enum { FACTOR = 31, MIX = 0x61c88647 };

/* The destination. Behind each jump stands how many instructions it skips. */
static const struct bpf_insn by_destination[] = {
	/*  0 */ ALU64_REG(MOV, BPF_REG_6, BPF_REG_1), /* where LOAD finds the packet */
	/*  1 */ ALU64(MOV, BPF_REG_8, 0),
	/*  2 */ LOAD(B, 0),
	/*  3 */ ALU64(RSH, BPF_REG_0, 4),
	/*  4 */ JUMP(JEQ, BPF_REG_0, 6, 4), /* to 9 */
	/*  5 */ TAKE_WORD(16),
	/*  8 */ JUMP_ALWAYS(12), /* to 21 */
	/*  9 */ TAKE_WORD(24),
	/* 12 */ TAKE_WORD(28),
	/* 15 */ TAKE_WORD(32),
	/* 18 */ TAKE_WORD(36),
	/* The kernel divides by the number of queues: every bit counts at the bottom. */
	/* 21 */ ALU64(MUL, BPF_REG_8, MIX),
	/* 22 */ ALU64_REG(MOV, BPF_REG_0, BPF_REG_8),
	/* 23 */ ALU64(RSH, BPF_REG_0, 16),
	/* 24 */ ALU64(AND, BPF_REG_0, 0xffff),
	/* 25 */ EXIT(),
};

static uint64_t take_in(uint64_t hash, const uint8_t word[4])
{
	return hash * FACTOR + load_be32(word);
}

unsigned steer_queue(const uint8_t *addr, size_t len, unsigned queues)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < len; i += 4)
		hash = take_in(hash, addr + i);
	return (hash * MIX >> 16 & 0xffff) % queues;
}

/* A descriptor of the loaded program, close-on-exec by itself, or -errno. */
static int load_program(const struct bpf_insn *insns, uint32_t n)
{
	static const char license[] = "Dual MIT/GPL";
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = n;
	attr.license = (uintptr_t)license;
	fd = (int)syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

int steer_load(int queue)
{
	const struct bpf_insn to_one[] = { ALU64(MOV, BPF_REG_0, queue), EXIT() };

	return queue < 0 ? load_program(by_destination, ARRAY_SIZE(by_destination))
			 : load_program(to_one, ARRAY_SIZE(to_one));
}

/* The device keeps it. */
static int attach(int fd, int queue)
{
	int program = broker_is_on() ? broker_steer(queue) : steer_load(queue), err;

	if (program < 0)
		return program;
	err = ioctl(fd, TUNSETSTEERINGEBPF, &program) ? -errno : 0;
	close(program);
	return err;
}

int steer_by_destination(int fd)
{
	return attach(fd, -1);
}

int steer_to(int fd, unsigned queue)
{
	return attach(fd, (int)queue);
}
