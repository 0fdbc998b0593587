/* SPDX-License-Identifier: MIT */
/* doctor: what a running berthd has denied itself (src/manage/privs.h). */
#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "doctor.h"

enum { FILTERED = 2 }; /* proc(5): Seccomp */

/* Numbers of /proc/PID/task/TID/status; those that are not there stay -1. */
struct thread_rights {
	long uid, no_new_privs, seccomp;
};

static struct thread_rights rights_of(pid_t pid, const char *tid)
{
	struct thread_rights r = { -1, -1, -1 };
	char path[80], line[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", (int)pid, tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		(void)sscanf(line, "Uid: %ld", &r.uid);
		(void)sscanf(line, "NoNewPrivs: %ld", &r.no_new_privs);
		(void)sscanf(line, "Seccomp: %ld", &r.seccomp);
	}
	if (file)
		(void)fclose(file);
	return r;
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* How many threads can do what the filter should forbid? *uid: whose they are. */
static unsigned count_open(pid_t pid, long *uid)
{
	const struct dirent *entry;
	unsigned n = 0;
	char path[64];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct thread_rights r;

		if (*entry->d_name == '.')
			continue;
		r = rights_of(pid, entry->d_name);
		if (r.uid < 0)
			continue; /* it has ended */
		*uid = r.uid;
		n += r.no_new_privs != 1 || r.seccomp != FILTERED;
	}
	if (dir)
		closedir(dir);
	return n;
}

static void check_confinement(struct doctor *d)
{
	const struct passwd *user;
	pid_t pid = doctor_daemon(d);
	struct doctor_row *row;
	long uid = -1;
	unsigned n;

	if (!pid)
		return;
	n = count_open(pid, &uid);
	user = uid < 0 ? NULL : getpwuid((uid_t)uid);
	if (n) {
		row = doctor_say(d, FINDING_WARN, "%u threads of berthd (pid %d) have no filter of system "
				 "calls", n, (int)pid);
		doctor_mend(row, "systemctl restart berthd");
	} else if (!has_landlock()) {
		doctor_say(d, FINDING_WARN, "this kernel has no Landlock (lsm=landlock,…): which files "
			   "berthd reaches is up to their modes alone");
	} else {
		doctor_say(d, FINDING_OK, "berthd (pid %d) is the user %s; system calls and files are "
			   "kept to what it needs", (int)pid, user ? user->pw_name : "of its number");
	}
}

const struct doctor_check doctor_privs[] = {
	{ "confinement", check_confinement },
	{ 0 },
};
