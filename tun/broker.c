/* SPDX-License-Identifier: MIT */
/* The broker: a process of our own that opens what needs privileges. */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "netns.h"
#include "steer.h"

enum what { BROKER_NETNS, BROKER_NETLINK, BROKER_PACKET, BROKER_STEER, BROKER_OWNER };

struct request {
	uint32_t what;
	int32_t queue;
	char ref[PATH_MAX];
};

struct answer {
	int32_t result; /* -errno; else of BROKER_OWNER the pid, of the others nothing */
	char command[BROKER_COMMAND];
};

static struct {
	pthread_mutex_t lock; /* one request at a time */
	int fd;               /* -1: no broker */
	pid_t pid;
} broker = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* Messages with at most one descriptor */

union rights {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* fd < 0: none goes along. */
static int send_with(int sock, const void *data, size_t len, int fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union rights rights = { 0 };
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = &rights;
		msg.msg_controllen = sizeof(rights);
		rights.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(&rights.header), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* One whole message of len bytes; *fd: what came along, or -1. -EPIPE: the other is gone. */
static int receive_with(int sock, void *data, size_t len, int *fd)
{
	struct iovec iov = { .iov_base = data, .iov_len = len };
	union rights rights = { 0 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &rights,
			      .msg_controllen = sizeof(rights) };
	const struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if (!n)
		return -EPIPE;
	return (size_t)n == len ? 0 : -EPROTO;
}

/* The broker's side */

static int or_errno(int fd)
{
	return fd < 0 ? -errno : fd;
}

/* Made inside, and back: who cannot come back must not go on. */
static int open_netlink(int home, int nsfd)
{
	int fd;

	if (nsfd < 0)
		return -EBADF;
	if (setns(nsfd, CLONE_NEWNET))
		return -errno;
	fd = or_errno(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	if (setns(home, CLONE_NEWNET))
		_exit(1);
	return fd;
}

static int open_what(const struct request *request, int home, int nsfd)
{
	switch (request->what) {
	case BROKER_NETNS:
		return netns_open(request->ref);
	case BROKER_NETLINK:
		return open_netlink(home, nsfd);
	case BROKER_PACKET:
		return or_errno(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	case BROKER_STEER:
		return steer_load(request->queue);
	default:
		return -EINVAL;
	}
}

/* Returns the descriptor that goes along, or -1. */
static int answer_it(const struct broker_ops *ops, struct request *request, int home, int nsfd,
		     struct answer *answer)
{
	int fd;

	request->ref[sizeof(request->ref) - 1] = '\0';
	if (request->what == BROKER_OWNER) {
		answer->result = ops->owner ? ops->owner(request->ref, answer->command) : -ENOSYS;
		return -1;
	}
	fd = open_what(request, home, nsfd);
	answer->result = min(fd, 0);
	return fd;
}

static void serve(int sock, const struct broker_ops *ops)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct request request;
	int given, fd;

	while (home >= 0 && !receive_with(sock, &request, sizeof(request), &given)) {
		struct answer answer = { 0 };

		fd = answer_it(ops, &request, home, given, &answer);
		(void)send_with(sock, &answer, sizeof(answer), fd);
		if (fd >= 0)
			close(fd);
		if (given >= 0)
			close(given);
	}
}

/* It has nobody to talk to but us: nobody's terminal is held. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			_exit(1);
	if (null > 2)
		close(null);
}

/* Nothing of the parent's stays open here; its log as long as there may be something to say. */
static void be_broker(int sock, const struct broker_ops *ops)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (sock != 3 && dup3(sock, 3, O_CLOEXEC) < 0)
		_exit(1);
	if (close_range(4, UINT_MAX, 0))
		_exit(1);
	if (ops->confine)
		ops->confine();
	leave_terminal();
	serve(3, ops);
	_exit(0);
}

/* The others' side */

int broker_start(const struct broker_ops *ops)
{
	int ends[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (pid < 0) {
		err = -errno;
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	if (!pid) {
		close(ends[0]);
		be_broker(ends[1], ops);
	}
	close(ends[1]);
	broker.fd = ends[0];
	broker.pid = pid;
	return 0;
}

void broker_stop(void)
{
	if (broker.fd < 0)
		return;
	close(broker.fd);
	broker.fd = -1;
	while (waitpid(broker.pid, NULL, 0) < 0 && errno == EINTR)
		;
}

bool broker_is_on(void)
{
	return broker.fd >= 0;
}

/* 0, or -errno of the way there and back. *fd: what came along, or -1. */
static int ask(const struct request *request, int given, struct answer *answer, int *fd)
{
	int err;

	*fd = -1;
	pthread_mutex_lock(&broker.lock);
	err = send_with(broker.fd, request, sizeof(*request), given);
	if (!err)
		err = receive_with(broker.fd, answer, sizeof(*answer), fd);
	pthread_mutex_unlock(&broker.lock);
	return err == -ECONNRESET ? -EPIPE : err;
}

static int ask_for_fd(const struct request *request, int given)
{
	struct answer answer = { 0 };
	int fd, err = ask(request, given, &answer, &fd);

	if (!err)
		err = min(answer.result, 0);
	if (!err)
		return fd < 0 ? -EMFILE : fd; /* there was no room here to put it */
	if (fd >= 0)
		close(fd);
	return err;
}

/* 0 or -EINVAL: too long. */
static int set_ref(struct request *request, const char *ref)
{
	size_t len = strlen(ref);

	if (len >= sizeof(request->ref))
		return -EINVAL;
	memcpy(request->ref, ref, len + 1);
	return 0;
}

int broker_netns(const char *ref)
{
	struct request request = { .what = BROKER_NETNS };
	int err = set_ref(&request, ref);

	return err ? err : ask_for_fd(&request, -1);
}

int broker_netlink(int nsfd)
{
	struct request request = { .what = BROKER_NETLINK };

	return ask_for_fd(&request, nsfd);
}

int broker_packet(void)
{
	struct request request = { .what = BROKER_PACKET };

	return ask_for_fd(&request, -1);
}

int broker_steer(int queue)
{
	struct request request = { .what = BROKER_STEER, .queue = queue };

	return ask_for_fd(&request, -1);
}

int broker_owner(const char *what, char command[BROKER_COMMAND])
{
	struct request request = { .what = BROKER_OWNER };
	struct answer answer = { 0 };
	int fd, err = set_ref(&request, what);

	if (!err)
		err = ask(&request, -1, &answer, &fd);
	if (err)
		return err;
	if (fd >= 0)
		close(fd);
	memcpy(command, answer.command, BROKER_COMMAND);
	command[BROKER_COMMAND - 1] = '\0';
	return answer.result;
}
