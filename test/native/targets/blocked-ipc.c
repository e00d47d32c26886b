// SPDX-License-Identifier: MIT
/* Blocked on System V IPC, message queues and children. */
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include "blocked.h"

static int semaphore, queue;
static mqd_t posix_queue;

/* Ids outlive processes: the other user of one is the helper, which is told when it may go. */
static void make_semaphore(void)
{
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	need(semaphore >= 0, "semget");
}

static long block_semtimedop(int ms)
{
	struct sembuf take = { .sem_op = -1 };
	long result = raw(syscall(SYS_semtimedop, semaphore, &take, 1, span(ms < 0 ? 60000 : ms)));

	semctl(semaphore, 0, IPC_RMID);
	return result;
}

static long block_semop(int ms)
{
	struct sembuf take = { .sem_op = -1 };
	long result = raw(syscall(SYS_semop, semaphore, &take, 1));

	(void)ms;
	semctl(semaphore, 0, IPC_RMID);
	return result;
}

static void give_semaphore(void)
{
	struct sembuf give = { .sem_op = 1 };

	need(!semop(semaphore, &give, 1), "semop");
}

static void make_queue(void)
{
	queue = msgget(IPC_PRIVATE, 0600);
	need(queue >= 0, "msgget");
}

static long block_msgrcv(int ms)
{
	struct { long type; char text[1]; } message;
	long result = raw(msgrcv(queue, &message, 1, 0, 0));

	(void)ms;
	msgctl(queue, IPC_RMID, NULL);
	return result;
}

static void send_message(void)
{
	struct { long type; char text[1]; } message = { .type = 1 };

	need(!msgsnd(queue, &message, 1, 0), "msgsnd");
}

static void make_posix_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];

	snprintf(name, sizeof(name), "/procsnap-%d", getpid());
	posix_queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attr);
	need(posix_queue >= 0 && !mq_unlink(name), "mq_open");
}

static long block_mq_receive(int ms)
{
	char text[8];

	(void)ms;
	return raw(mq_receive(posix_queue, text, sizeof(text), NULL));
}

static void send_posix(void)
{
	need(!mq_send(posix_queue, "x", 1, 0), "mq_send");
}

static void end_helper(void)
{
	_exit(7);
}

static long block_waitpid(int ms)
{
	int status = 0;
	pid_t got = waitpid(-1, &status, 0);

	(void)ms;
	return got < 0 ? -errno : WEXITSTATUS(status);
}

static long block_waitid(int ms)
{
	siginfo_t info = { 0 };

	(void)ms;
	return waitid(P_ALL, 0, &info, WEXITED) ? -errno : info.si_status;
}

const struct kind ipc_kinds[] = {
	{ "semop", make_semaphore, NULL, block_semop, give_semaphore, 0, 0 },
	{ "semtimedop", make_semaphore, NULL, block_semtimedop, give_semaphore, 0, -EAGAIN },
	{ "msgrcv", make_queue, NULL, block_msgrcv, send_message, 1, 0 },
	{ "mq_receive", make_posix_queue, NULL, block_mq_receive, send_posix, 1, 0 },
	{ "waitpid", NULL, NULL, block_waitpid, end_helper, 7, 0 },
	{ "waitid", NULL, NULL, block_waitid, end_helper, 7, 0 },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};
