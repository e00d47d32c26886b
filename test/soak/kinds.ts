/**
 * The kinds of targets: how each is started, which faults it is exposed to, and by
 * what the self-test harms it to see that it tells (targets/sabotage.c).
 */

export type Fault = 'freeze' | 'stop' | 'rival' | 'debugger' | 'tighten';

export interface Kind {
	/** As the verdict calls it. */
	name: string;
	/** Of targets/main.c; `name` where it is not given. */
	program?: string;
	argument?: string;
	/** Its memory cgroup's limit. */
	limitMiB?: number;
	/** Faults that it is spared: they would be a harm by themselves, which nothing excuses. */
	spared?: readonly Fault[];
	/** It has no children of its own: any child is left over from a take. */
	childless?: boolean;
	/** A duplicate is sometimes there for long. */
	longer?: boolean;
	/** Sabotage's words; PID, H0 to H3 are replaced by the process to take, the page's handles. */
	hurt: string[];
	/** What must then be seen: a harm's text, `dead`. */
	sees: RegExp;
	/**
	 * What docs/inject.md says that a take may do to it, and counts: no harm as long as the takes have counted as
	 * many.
	 */
	documented?: Documented;
}

export interface Documented {
	/** The harm's text. */
	text: RegExp;
	/** The system call that takes count it under, and as what. */
	call: string;
	countedAs: 'cut' | 'restarted';
}

const SYS = { flock: 73, fork: 57, close: 3 };
const EINTR = '-4', ETIMEDOUT = '-110';

const timeout = (name: string, hurt: string[], sees: RegExp): Kind => ({ name, childless: true, hurt, sees });

const BASH = `exec bash -c 'i=0; while :; do i=$((i+1)); x=$(echo $i; exit 3); c=$?
[ "$x" = $i ] && [ $c = 3 ] || echo "harm: bash got another output or exit code"
read -r line < <(sleep 0.01; echo hello $i); [ "$line" = "hello $i" ] || echo "harm: bash read another line"
sleep 0.15 & wait $! || echo "harm: wait in bash failed"; echo $i; done'`;

const PYTHON = `command -v python3 >/dev/null || exit 127; exec python3 -u -c '
import asyncio, os, signal, sys, time
async def main():
    n = 0
    while True:
        n += 1
        start = time.monotonic()
        await asyncio.sleep(0.15)
        took = time.monotonic() - start
        if took < 0.149: print("harm: python slept too little")
        child = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 5")
        if await child.wait() != 5: print("harm: python got another exit code")
        print(n)
asyncio.run(main())'`;

export const KINDS: readonly Kind[] = [
	{ name: 'busy', childless: true, hurt: ['register', 'PID'], sees: /register \w+ changed/ },
	{ name: 'calls', childless: true, hurt: ['register', 'PID'], sees: /register \w+ changed/ },
	timeout('epoll', ['cut', 'PID'], /epoll_wait returned EINTR/),
	timeout('epoll-raw', ['cut', 'PID'], /returned EINTR/),
	timeout('poll', ['forge', 'PID', '0'], /returned early/),
	timeout('sleep', ['forge', 'PID', '0'], /a sleep returned early/),
	timeout('futex', ['forge', 'PID', EINTR], /returned EINTR/),
	timeout('sigtimedwait', ['cut', 'PID'], /sigtimedwait returned EINTR/),
	timeout('rcvtimeo', ['cut', 'PID'], /returned EINTR/),
	timeout('semtimedop', ['cut', 'PID'], /semtimedop returned EINTR/),
	timeout('io-getevents', ['cut', 'PID'], /io_getevents returned EINTR/),
	timeout('io-uring', ['cut', 'PID'], /io_uring_enter/),
	timeout('timerfd', ['forge', 'PID', EINTR], /read of a timerfd returned EINTR/),
	timeout('mqueue', ['forge', 'PID', EINTR], /mq_timedreceive returned EINTR/),
	{ name: 'pipe-writer', childless: true, hurt: ['cut', 'PID'], sees: /write of 1 MiB to a pipe was cut short/ },
	{
		name: 'socket-writer', childless: true, hurt: ['cut', 'PID'], sees: /was cut short/,
		documented: { text: /sendmmsg/, call: 'sendmmsg', countedAs: 'cut' },
	},
	{
		name: 'linger', childless: true, hurt: ['cut', 'PID'], sees: /SO_LINGER returned before/,
		documented: { text: /SO_LINGER returned before/, call: 'close', countedAs: 'cut' },
	},
	{ name: 'waitall', childless: true, hurt: ['cut', 'PID'], sees: /MSG_WAITALL was cut short/ },
	{ name: 'ping-pong', childless: true, hurt: ['cut', 'PID'], sees: /returned EINTR/ },
	{ name: 'eof', hurt: ['keep', 'PID', 'H0-1', '7'], sees: /does not see its end/ },
	{ name: 'terminal', hurt: ['cut', 'PID'], sees: /VMIN was cut short/ },
	{ name: 'signal-storm', hurt: ['steal', 'PID'], sees: /a signal was lost/ },
	{ name: 'signal-wait', hurt: ['signal', 'PID', '10'], sees: /a signal came that nobody sent/ },
	{ name: 'alarms', childless: true, hurt: ['forge', 'PID', EINTR], sees: /no handler ran/ },
	{ name: 'fork-wait', hurt: ['steal', 'PID'], sees: /SIGCHLD was lost/ },
	{ name: 'vfork-exec', hurt: ['steal', 'PID'], sees: /SIGCHLD was lost/ },
	{ name: 'exec-self', childless: true, hurt: ['signal', 'PID', '10'], sees: /^dead/ },
	{
		name: 'stopped', childless: true, spared: ['stop'], hurt: ['signal', 'PID', '18'],
		sees: /a stopped process went on/,
	},
	{ name: 'pid1', hurt: ['steal', 'PID'], sees: /SIGCHLD was lost/ },
	{ name: 'newpid', hurt: ['call', 'PID', `${SYS.fork}`], sees: /pid namespace/ },
	{ name: 'posix-lock', hurt: ['call', 'PID', `${SYS.close}`, 'H0'], sees: /a POSIX lock was lost/ },
	{
		name: 'lock-restart', longer: true, hurt: ['twin', 'PID', '6'],
		sees: /lock of a process that has ended is still held/,
	},
	{ name: 'lock-queue', hurt: ['forge', 'PID', EINTR], sees: /waiting for a lock failed/ },
	{ name: 'memory', argument: '16', childless: true, hurt: ['poke', 'PID', 'H0'], sees: /a page of memory changed/ },
	{
		name: 'memory-limit', program: 'memory', argument: '24', limitMiB: 40, childless: true, longer: true,
		hurt: ['signal', 'PID', '9'], sees: /^dead: SIGKILL/,
	},
	{ name: 'mapper', childless: true, hurt: ['poke', 'PID', 'H0'], sees: /a page of memory changed/ },
	{ name: 'monitored', childless: true, hurt: ['signal', 'PID', '11'], sees: /^dead: SIGSEGV/ },
	{ name: 'crowd', childless: true, hurt: ['register', 'PID'], sees: /register \w+ changed/ },
	{ name: 'threads', childless: true, hurt: ['register', 'PID'], sees: /register \w+ changed/ },
	{ name: 'condition', childless: true, hurt: ['forge', 'PID', ETIMEDOUT], sees: /a condition was not signalled/ },
	{ name: 'seccomp-no-clone', childless: true, hurt: ['call', 'PID', `${SYS.fork}`], sees: /^dead: SIGSYS/ },
	{ name: 'seccomp-narrow', childless: true, hurt: ['cut', 'PID'], sees: /returned EINTR/ },
	{ name: 'dispatched', childless: true, hurt: ['forge', 'PID', EINTR], sees: /under syscall user dispatch failed/ },
	{
		name: 'notified', hurt: ['cut', 'PID'], sees: /supervisor acted more than once/,
		documented: { text: /supervisor acted more than once/, call: 'getppid', countedAs: 'restarted' },
	},
	{ name: 'other-user', childless: true, hurt: ['forge', 'PID', '0'], sees: /nanosleep returned early/ },
	{ name: 'bash', program: 'program', argument: BASH, hurt: ['signal', 'PID', '9'], sees: /ended by signal 9/ },
	{ name: 'python', program: 'program', argument: PYTHON, hurt: ['signal', 'PID', '9'], sees: /ended by signal 9/ },
	{
		name: 'sleep(1)', program: 'sleeper', argument: '3', childless: true, hurt: ['forge', 'PID', '0'],
		sees: /returned early/,
	},
];
