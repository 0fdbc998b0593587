/* SPDX-License-Identifier: MIT */
/* Handshakes beside clocks that are set. */
#include <stdlib.h>

#include "../src/base/log.h"
#include "stranger.h"

static struct lab lab;

static void setup(void)
{
	lab_start_acquainted(&lab, NULL);
	lab_mark(&lab.home);
	lab_mark(&lab.gate);
}

static void teardown(void)
{
	lab_stop(&lab);
}

static void to_gate(const void *msg, size_t len)
{
	lab_deliver(&lab, &lab.gate, &lab.home.at4, 0, msg, len);
}

static void note_line(enum log_level level, const char *text, void *arg)
{
	unsigned *n = arg;

	if (level == LOG_LEVEL_WARNING && strstr(text, "replayed")) {
		ck_assert_ptr_nonnull(strstr(text, "gate0: home: "));
		++*n;
	}
}

/* The clock was set back by an hour: said once, and again when it has been forgotten. */
START_TEST(clock_set_back)
{
	unsigned said = 0;
	struct log_hook hook = { .line = note_line, .arg = &said };
	struct message_initiation msg;
	struct stranger twin;

	log_set_hook(&hook);
	stranger_init(&twin, lab.home.private_key, &lab.gate);
	stranger_initiates(&twin, 2 * 3600, &msg);
	to_gate(&msg, sizeof(msg));
	lab_dropped_nothing(&lab.gate);
	lab_wait(&lab, NSEC_PER_SEC);
	/* What the network has delayed is not worth a word. */
	stranger_initiates(&twin, 2 * 3600 - 5, &msg);
	to_gate(&msg, sizeof(msg));
	lab_dropped(&lab.gate, DROP_REPLAYED_INITIATION, 1, true);
	ck_assert_uint_eq(said, 0);
	for (unsigned i = 0; i < 3; i++) {
		stranger_initiates(&twin, 0, &msg);
		to_gate(&msg, sizeof(msg));
		lab_wait(&lab, NSEC_PER_SEC);
	}
	ck_assert_uint_eq(said, 1);
	for (unsigned i = 0; i < 60; i++)
		lab_wait(&lab, 60 * NSEC_PER_SEC);
	stranger_initiates(&twin, 0, &msg);
	to_gate(&msg, sizeof(msg));
	ck_assert_uint_eq(said, 2);
	log_set_hook(NULL);
}
END_TEST

/* The gate has home's greatest timestamp: s since 1970. */
static int64_t last_of_home(void)
{
	uint8_t timestamp[NOISE_TIMESTAMP_LEN];

	rcu_turn_begin();
	learned_get_timestamp(lab.gate.peer, timestamp);
	rcu_turn_end();
	return tai64n_seconds(timestamp);
}

static void set_clock(int64_t ahead)
{
	struct timespec now;

	clock_realtime(&now);
	fake_clock_set_realtime(now.tv_sec + ahead, now.tv_nsec);
}

/* Home's clock jumps by an hour, back and forth, between one handshake and the next. */
START_TEST(own_clock_jumps)
{
	static const int64_t jumps[] = { -3600, -3600, 7200 + 1800, -1800, 3600 };
	uint8_t packet[64];
	size_t len = lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));

	lab_connect(&lab);
	for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
		int64_t last = last_of_home();

		set_clock(jumps[i]);
		/* Across the end of the session: there is nothing to be rekeyed any more. */
		lab_live(&lab, i % 2 ? 545 : 121);
		lab_tun_in(&lab, &lab.home, packet, len);
		lab_carry(&lab);
		lab_tun_out(&lab.gate, packet, len);
		ck_assert_int_gt(last_of_home(), last);
		lab_check_tunnel(&lab);
	}
	ck_assert_uint_eq(count(&lab.gate, DROP_REPLAYED_INITIATION), 0);
}
END_TEST

/* An initiation of the time when the clock was wrong was lost: that time is forgotten. */
START_TEST(wrong_clock_unheard)
{
	uint8_t packet[64];
	size_t len = lab_packet(packet, "10.0.0.2", "8.8.8.8", sizeof(packet));
	struct timespec now;

	set_clock(3600);
	lab_tun_in(&lab, &lab.home, packet, len);
	free(lab_sent_one(&lab.home, MESSAGE_INITIATION, sizeof(struct message_initiation)));
	set_clock(-3600);
	lab_wait(&lab, 6 * NSEC_PER_SEC);
	lab_carry(&lab);
	clock_realtime(&now);
	ck_assert_int_eq(last_of_home(), now.tv_sec);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handshake_clock");
	TCase *tc = tcase_create("handshake_clock");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, clock_set_back);
	tcase_add_test(tc, own_clock_jumps);
	tcase_add_test(tc, wrong_clock_unheard);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
