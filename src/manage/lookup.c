/* SPDX-License-Identifier: MIT */
/* Look-ups of names, each on a thread of its own. */
#include "lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { STACK_SIZE = 512 << 10 }; /* getaddrinfo(3) and its modules are content with it */

/* Belongs to the thread and to the handle; who lets go last frees it. */
struct lookup {
	uv_async_t ended;
	lookup_fn *done;
	void *arg;
	char *host, *port;
	pthread_mutex_t lock;
	bool abandoned;         /* lock */
	struct addrinfo *found; /* the thread's, and after it has ended ours */
	int error;              /* the same */
	atomic_uint refs;
};

/* Threads are the process's, whoever asked for them. */
static atomic_uint n_threads;

static void unref(struct lookup *l)
{
	if (atomic_fetch_sub(&l->refs, 1) > 1)
		return;
	if (l->found)
		freeaddrinfo(l->found);
	pthread_mutex_destroy(&l->lock);
	free(l->host);
	free(l->port);
	free(l);
}

static void *look_up(void *arg)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_protocol = IPPROTO_UDP };
	struct lookup *l = arg;

	l->error = getaddrinfo(l->host, l->port, &hints, &l->found);
	if (l->error)
		l->found = NULL;
	else if (!l->found)
		l->error = EAI_NONAME;
	pthread_mutex_lock(&l->lock);
	if (!l->abandoned)
		uv_async_send(&l->ended);
	pthread_mutex_unlock(&l->lock);
	unref(l);
	atomic_fetch_sub(&n_threads, 1);
	return NULL;
}

/* Signals are not for it: the new thread inherits the mask. */
static int make_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int err;

	if (pthread_attr_init(&attr))
		return -ENOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return err ? -EAGAIN : 0;
}

/* The maker of threads: asked for one, and its word awaited, as if it were a call. */
static struct maker {
	pthread_mutex_t lock;
	pthread_cond_t turn;
	bool runs;
	void (*confine)(void);
	struct lookup *wanted; /* NULL: done */
	int result;
} maker = { .lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER };

static void *make_for_ever(void *arg)
{
	maker.confine();
	pthread_mutex_lock(&maker.lock);
	maker.runs = true;
	for (;;) {
		pthread_cond_broadcast(&maker.turn);
		while (!maker.wanted)
			pthread_cond_wait(&maker.turn, &maker.lock);
		maker.result = make_thread(look_up, maker.wanted);
		maker.wanted = NULL;
	}
	return arg;
}

int lookup_prepare(void (*confine)(void))
{
	int err;

	maker.confine = confine;
	err = make_thread(make_for_ever, NULL);
	if (err)
		return err;
	pthread_mutex_lock(&maker.lock);
	while (!maker.runs)
		pthread_cond_wait(&maker.turn, &maker.lock);
	pthread_mutex_unlock(&maker.lock);
	return 0;
}

static int start_thread(struct lookup *l)
{
	int err;

	pthread_mutex_lock(&maker.lock);
	if (!maker.runs) {
		pthread_mutex_unlock(&maker.lock);
		return make_thread(look_up, l);
	}
	maker.wanted = l;
	pthread_cond_broadcast(&maker.turn);
	while (maker.wanted)
		pthread_cond_wait(&maker.turn, &maker.lock);
	err = maker.result;
	pthread_mutex_unlock(&maker.lock);
	return err;
}

static void on_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

static void on_ended(uv_async_t *async)
{
	struct lookup *l = async->data;

	/* The thread writes nothing any more: it has sent this behind everything. */
	pthread_mutex_lock(&l->lock);
	l->abandoned = true;
	pthread_mutex_unlock(&l->lock);
	l->done(l->arg, l->error, l->found);
	uv_close((uv_handle_t *)async, on_closed);
}

static struct lookup *new_lookup(const char *host, const char *port)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	l->refs = 1;
	l->host = strdup(host);
	l->port = strdup(port);
	if (l->host && l->port)
		return l;
	unref(l);
	return NULL;
}

int lookup_start(struct lookup **out, uv_loop_t *loop, const char *host, const char *port,
		 lookup_fn *done, void *arg)
{
	struct lookup *l;
	int err = -EAGAIN;

	*out = NULL;
	if (atomic_fetch_add(&n_threads, 1) >= LOOKUP_THREADS_MAX)
		goto uncount;
	err = -ENOMEM;
	l = new_lookup(host, port);
	if (!l)
		goto uncount;
	l->done = done;
	l->arg = arg;
	err = uv_async_init(loop, &l->ended, on_ended);
	if (err) {
		unref(l);
		goto uncount;
	}
	l->ended.data = l;
	l->refs = 2;
	err = start_thread(l);
	if (err) {
		l->refs = 1;
		uv_close((uv_handle_t *)&l->ended, on_closed);
		goto uncount;
	}
	*out = l;
	return 0;

uncount:
	atomic_fetch_sub(&n_threads, 1);
	return err;
}

void lookup_abandon(struct lookup *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->abandoned = true;
	pthread_mutex_unlock(&l->lock);
	uv_close((uv_handle_t *)&l->ended, on_closed);
}
