// SPDX-License-Identifier: GPL-2.0
/*
 * Where a call is audited, the record says of which process a snapshot was to be
 * taken, as it does for ptrace(): type OBJ_PID (1318), opid.
 */
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/snap.h"

static int netlink_fd;

static long ask(int type, const void *body, size_t bytes)
{
	struct { struct nlmsghdr header; char body[2048]; } message = {
		.header = { NLMSG_LENGTH(bytes), type, NLM_F_REQUEST | NLM_F_ACK, 1, 0 },
	};
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[2048]; } reply;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	memcpy(message.body, body, bytes);
	if (sendto(netlink_fd, &message, message.header.nlmsg_len, 0, (void *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	do {
		if (recv(netlink_fd, &reply, sizeof(reply), 0) < 0)
			return -errno;
	} while (reply.header.nlmsg_type != NLMSG_ERROR);
	return reply.error.error;
}

static long rule(int type, int call)
{
	struct audit_rule_data rule = { .flags = AUDIT_FILTER_EXIT, .action = AUDIT_ALWAYS };

	rule.mask[AUDIT_WORD(call)] |= AUDIT_BIT(call);
	return ask(type, &rule, sizeof(rule));
}

/* Records go to the kernel's log where nobody else takes them. */
static bool recorded(pid_t target)
{
	static char log[1 << 20];
	char wanted[32], *at;
	FILE *dmesg = popen("dmesg", "r");
	size_t length;

	length = dmesg ? fread(log, 1, sizeof(log) - 1, dmesg) : 0;
	log[length] = 0;
	if (dmesg)
		pclose(dmesg);
	snprintf(wanted, sizeof(wanted), " opid=%d ", target);
	for (at = log; (at = strstr(at, "type=1318")); at++) {
		char *end = strchr(at, '\n'), *found = strstr(at, wanted);

		if (found && (!end || found < end))
			return true;
	}
	return false;
}

static long take_one(void *target)
{
	pid_t dup = snap((long)target);

	return dup > 0 ? snap_end(dup) : dup;
}

static long refused_one(void *target)
{
	become(1000);
	return snap((long)target);
}

int main(int argc, char **argv)
{
	struct audit_status status = { .mask = AUDIT_STATUS_ENABLED, .enabled = 1 };
	pid_t target, hidden;

	tap_begin(argc, argv);
	netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (netlink_fd < 0 || ask(AUDIT_SET, &status, sizeof(status))) {
		skip("audit", "no auditing of this kernel, or not by us");
		return tap_end();
	}
	is(rule(AUDIT_ADD_RULE, NR_CREATE_PROC_SNAP), 0, "the call is to be audited");
	target = spawn(sleeper, NULL);
	hidden = spawn(sleeper, NULL);
	/* who is audited is determined when a process is made */
	is(in_child(take_one, (void *)(long)target), 0, "a duplicate");
	ok(UNTIL(recorded(target)), "the record names the target");
	is(in_child(refused_one, (void *)(long)hidden), -EPERM, "a call that is refused");
	ok(UNTIL(recorded(hidden)), "the record names its target, too");
	rule(AUDIT_DEL_RULE, NR_CREATE_PROC_SNAP);
	status.enabled = 0;
	ask(AUDIT_SET, &status, sizeof(status));
	end_target(target);
	end_target(hidden);
	return tap_end();
}
