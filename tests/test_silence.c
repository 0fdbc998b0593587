/* SPDX-License-Identifier: MIT */
/*
 * The kernel keeps silent about tenants' addresses, and about nothing else. It
 * forwards here, and has a route for the tenant, as on a gateway.
 */
#include "neigh_lab.h"

#define TABLE "berth-test-up0"
#define OTHER_OWN "2001:db8:dead:beef::2"
#define CONTAINER "2001:db8:dead:beef::55"
#define CONTAINER_LINK "\x02\x00\x00\x00\x00\x55"

static struct config_range range = { .prefix = { .family = AF_INET6, .cidr = 64 } };
static const struct config_ranges prefixes = { .v = &range, .n = 1 };

static int far_end; /* of the tenant's route */

static void silence_open_lab(struct lab *lab)
{
	struct in6_addr tenant = frame_in6(TENANT);

	memcpy(range.prefix.addr, &tenant, 8);
	lab_open(lab);
	sh("ip addr add " OWN_GLOBAL "/64 dev up0 nodad");
	wait_for_addresses();
	ck_assert_int_eq(neigh_refresh(lab->neigh), 0);
	sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
	sh("ip link add tun0 type veth peer name tun1 && ip link set tun0 up");
	sh("ip link set tun1 up && ip -6 route add " TENANT "/128 dev tun0");
	sh("ip -6 neigh add " TENANT " lladdr 02:00:00:00:00:77 nud permanent dev tun0");
	lab_listen(lab);
	far_end = packet_socket("tun1");
}

/* Solicitations that came out at the far end of the route since the last call. */
static unsigned forwarded(void)
{
	struct in6_addr tenant = frame_in6(TENANT);
	struct frame f;
	unsigned n = 0;

	while (recv(far_end, f.data, sizeof(f.data), MSG_DONTWAIT) > 0)
		n += f.data[20] == 58 && f.data[54] == 135 && !memcmp(f.data + 38, &tenant, 16);
	return n;
}

static bool is_installed(void)
{
	return system("nft list table netdev " TABLE " >/dev/null 2>&1") == 0;
}

/* What a probe of TENANT brought about, beside our answer. */
struct outcome {
	unsigned errors, forwarded;
};

static struct outcome probe(struct lab *lab, const char *source)
{
	struct frame_ns ns = { .link_destination = FRAME_US, .source = source,
			       .destination = TENANT, .target = TENANT, .link_address = true };
	struct frame_na na;
	struct frame f;

	lab->errors = 0;
	frame_solicitation(&f, &ns);
	ask(lab, &f);
	na = take_advertisement(lab);
	ck_assert_mem_eq(na.link_source, FRAME_US, 6);
	/* The kernel was done with the probe before it took the next one. */
	(void)ask_multicast(lab);
	return (struct outcome){ lab->errors, forwarded() };
}

/* Is the frame an advertisement of that address? The kernel's need not have options. */
static bool is_about(const struct frame *f, const char *addr)
{
	struct in6_addr target = frame_in6(addr);

	return f->len >= 78 && f->data[54] == 136 && !memcmp(f->data + 62, &target, 16);
}

static bool got_ours(struct lab *lab)
{
	return lab->count && is_about(&lab->got[lab->count - 1], TENANT);
}

/* Asks; is one of the answers, of which there may be several, as is_it says? */
static bool answers(struct lab *lab, const struct frame_ns *ns, bool (*is_it)(const struct frame *f))
{
	bool answered = false;
	struct frame f;

	frame_solicitation(&f, ns);
	ask(lab, &f);
	/* Frames keep their order: the answer to this one is the last. */
	frame_solicitation(&f, &multicast);
	ask(lab, &f);
	wait_until(lab, got_ours);
	for (unsigned i = 0; i < lab->count; i++)
		answered |= is_about(&lab->got[i], ns->target) && is_it(&lab->got[i]);
	lab->count = 0;
	return answered;
}

/* Its answer has no option, and ours, which the lab gives for nearly everything, has. */
static bool is_the_kernels(const struct frame *f)
{
	return f->len == 78;
}

/* Does the kernel answer for an address of its own, asked in unicast? */
static bool kernel_answers(struct lab *lab, const char *own)
{
	struct frame_ns ns = { .link_destination = FRAME_US, .source = "fe80::a",
			       .destination = own, .target = own, .link_address = true };

	return answers(lab, &ns, is_the_kernels);
}

/* What the kernel does by itself, or else the rest would show nothing. */
START_TEST(the_kernel_speaks)
{
	struct outcome from_link, from_afar;
	struct lab lab;

	silence_open_lab(&lab);
	from_link = probe(&lab, "fe80::a");
	from_afar = probe(&lab, "2001:db8:dead:beef::aaaa");
	ck_assert_msg(from_link.errors + from_afar.forwarded,
		      "this kernel needs no silencing: errors %u, forwarded %u", from_link.errors,
		      from_afar.forwarded);
	lab_close(&lab);
}
END_TEST

START_TEST(the_kernel_is_silent)
{
	static const char *const sources[] = { "fe80::a", "2001:db8:dead:beef::aaaa" };
	struct outcome out;
	struct lab lab;

	silence_open_lab(&lab);
	neigh_silence_kernel(lab.neigh, TABLE, &prefixes);
	ck_assert(is_installed());
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		out = probe(&lab, sources[i]);
		ck_assert_msg(!out.errors && !out.forwarded, "%s: errors %u, forwarded %u",
			      sources[i], out.errors, out.forwarded);
	}
	ck_assert(kernel_answers(&lab, OWN_GLOBAL));
	ck_assert(kernel_answers(&lab, OWN_LINK_LOCAL));
	ck_assert(!kernel_answers(&lab, OTHER_OWN));
	lab_close(&lab);
	ck_assert(!is_installed());
}
END_TEST

static void address_changed(struct lab *lab)
{
	struct netlink_addr addr = { .family = AF_INET6,
				     .ifindex = (int)if_nametoindex("up0") };

	ck_assert_int_eq(neigh_addr_changed(lab->neigh, &addr), 0);
}

/* An address that the machine gets is its own from then on; the rules follow. */
START_TEST(the_machines_own_addresses)
{
	struct outcome out;
	struct lab lab;

	silence_open_lab(&lab);
	neigh_silence_kernel(lab.neigh, TABLE, &prefixes);
	sh("ip addr add " OTHER_OWN "/64 dev up0 nodad");
	wait_for_addresses();
	address_changed(&lab);
	ck_assert(kernel_answers(&lab, OTHER_OWN));
	ck_assert(kernel_answers(&lab, OWN_GLOBAL));
	sh("ip addr del " OWN_GLOBAL "/64 dev up0");
	address_changed(&lab);
	ck_assert(!kernel_answers(&lab, OWN_GLOBAL));
	out = probe(&lab, "fe80::a");
	ck_assert_uint_eq(out.errors + out.forwarded, 0);
	lab_close(&lab);
}
END_TEST

static bool is_the_containers(const struct frame *f)
{
	return !memcmp(f->data + 6, CONTAINER_LINK, 6);
}

static bool container_answers(struct lab *lab)
{
	struct frame_ns ns = { .link_destination = CONTAINER_LINK, .source = "fe80::a",
			       .destination = CONTAINER, .target = CONTAINER,
			       .link_address = true };

	return answers(lab, &ns, is_the_containers);
}

/* A container with a link address of its own: those who probe it do not ask us. */
START_TEST(a_container_on_the_uplink)
{
	struct lab lab;

	silence_open_lab(&lab);
	sh("ip netns add container");
	quiet_ipv6("ip netns exec container");
	sh("ip link add mv0 link up0 netns container address 02:00:00:00:00:55 type macvlan");
	sh("ip -n container link set mv0 up");
	sh("ip -n container addr add " CONTAINER "/64 dev mv0 nodad");
	sh("until ip -n container -6 route get " CONTAINER " | grep -q ^local; do sleep 0.01; done");
	/* Whom it answers it knows; to be asked for it would be another frame. */
	sh("ip -n container -6 route add fe80::/64 dev mv0");
	sh("ip -n container neigh add fe80::a lladdr 02:00:00:00:00:0a nud permanent dev mv0");
	ck_assert(container_answers(&lab));
	neigh_silence_kernel(lab.neigh, TABLE, &prefixes);
	ck_assert(is_installed());
	ck_assert(container_answers(&lab));
	ck_assert_uint_eq(probe(&lab, "fe80::a").errors, 0);
	lab_close(&lab);
}
END_TEST

/* The chain goes with its link; the one that takes its place gets a new one. */
START_TEST(a_link_is_made_again)
{
	struct outcome out;
	struct lab lab;

	silence_open_lab(&lab);
	neigh_silence_kernel(lab.neigh, TABLE, &prefixes);
	lab_deafen(&lab);
	sh("ip link del up0");
	ck_assert_int_eq(neigh_refresh(lab.neigh), 0);
	ck_assert(!is_installed());
	make_link("");
	sh("ip addr add " OWN_GLOBAL "/64 dev up0 nodad");
	wait_for_addresses();
	ck_assert_int_eq(neigh_refresh(lab.neigh), 1);
	ck_assert(is_installed());
	lab_listen(&lab);
	out = probe(&lab, "fe80::a");
	ck_assert_uint_eq(out.errors + out.forwarded, 0);
	lab_close(&lab);
}
END_TEST

/* As an older kernel would leave it after a crash. */
START_TEST(what_a_crash_left_is_replaced)
{
	struct lab lab;

	silence_open_lab(&lab);
	sh("nft 'add table netdev " TABLE "; add chain netdev " TABLE " old'");
	neigh_silence_kernel(lab.neigh, TABLE, &prefixes);
	ck_assert(is_installed());
	ck_assert_int_ne(system("nft list chain netdev " TABLE " old >/dev/null 2>&1"), 0);
	/* `nft flush ruleset` of a firewall script is no reason to speak again. */
	sh("nft flush ruleset");
	ck_assert(is_installed());
	ck_assert_uint_eq(probe(&lab, "fe80::a").errors, 0);
	lab_close(&lab);
	ck_assert(!is_installed());
}
END_TEST

/* As many rules as anybody will have, and a link that is not there yet. */
START_TEST(many_prefixes)
{
	static struct config_range many[300];
	struct config_ranges list = { .v = many, .n = ARRAY_SIZE(many) };
	struct lab lab;

	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		many[i].prefix = (struct prefix){ .family = i % 3 ? AF_INET6 : AF_INET,
						  .cidr = i % 3 ? (uint8_t)(20 + i % 109) : 24 };
		memcpy(many[i].prefix.addr, (uint8_t[]){ 0x20, (uint8_t)(i / 3) }, 2);
	}
	silence_open_lab(&lab);
	neigh_silence_kernel(lab.neigh, TABLE, &list);
	sh("test $(nft list table netdev " TABLE " | grep -v limit | grep -c ' drop$') -eq 200");
	lab_close(&lab);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("silence");
	TCase *tc = tcase_create("silence");
	SRunner *runner;
	int failed;

	if (!in_netns_possible("test_silence"))
		return 77;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, in_netns_setup, NULL);
	tcase_add_test(tc, the_kernel_speaks);
	tcase_add_test(tc, the_kernel_is_silent);
	tcase_add_test(tc, the_machines_own_addresses);
	tcase_add_test(tc, a_container_on_the_uplink);
	tcase_add_test(tc, a_link_is_made_again);
	tcase_add_test(tc, what_a_crash_left_is_replaced);
	tcase_add_test(tc, many_prefixes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
