/** A target in a memory cgroup is never killed for its duplicate: that is refused, or ended in time. */
import test, { type ExecutionContext } from 'ava';
import { existsSync } from 'node:fs';
import type { Tracer } from '../../native/index.ts';
import { aGroup, type Group } from './groups.ts';
import { failure, sleep, start, state, tracerFor, until, type Target } from './help.ts';

const [TURNS, GO, DONE] = [1, 3, 5];
const MIB = 1 << 20;

/** Memory, and where there is such a limit memory with swap: what does not fit is not swapped out either. */
function limit(group: Group, mib: number): void {
	if (group.version === 'v2') {
		group.set('memory.max', String(mib * MIB));
		if (existsSync(`${group.folder}/memory.swap.max`)) group.set('memory.swap.max', '0');
		return;
	}
	const files = ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'].filter((file) =>
		existsSync(`${group.folder}/${file}`));
	// Memory must not be above memory with swap, before or after.
	for (const file of [...files, ...files]) {
		try {
			group.set(file, String(mib * MIB));
		} catch {
			// The second time it fits.
		}
	}
}

const kills = (group: Group): number =>
	Number(
		/^oom_kill (\d+)$/m.exec(group.get(group.version === 'v2' ? 'memory.events' : 'memory.oom_control'))?.[1] ?? -1
	);

function memoryGroup(t: ExecutionContext): Group | null {
	const group = aGroup(t, 'memory');
	if (group === null) {
		t.log('not here: there is no memory cgroup that we may make');
		t.pass();
	}
	return group;
}

/** In the group before it has any memory of that size: what counts is who touches it first. */
const writer = (t: ExecutionContext, group: Group, mib: number, threads: number): Promise<Target> =>
	start(t, 'hazards', 'writer', mib, threads, group.folder);

/** The turns of the writer, or its death. */
const writes = async (target: Target, turns: number): Promise<void> =>
	until('it writes', () => target.number(TURNS) >= turns || target.process.signalCode !== null);

async function early(t: ExecutionContext, tracer: Tracer, duplicate: number): Promise<void> {
	await until('the duplicate has ended', () => ['', 'Z'].includes(state(duplicate)));
	t.regex(
		tracer.end().endedEarly ?? '',
		/duplicate was ended so that process \d+ is not harmed: .* has room for \d+ KiB .* \d+ are kept free/
	);
}

for (const threads of [1, 2]) {
	test(`a target of ${threads} threads at 60 % of its limit that writes on: its duplicate is ended, and it is not`,
		async (t) => {
		const group = memoryGroup(t);
		if (group === null) return;
		// Of two writers more must be kept free.
		limit(group, threads === 1 ? 200 : 230);
		const tracer = tracerFor(t);
		for (let i = 0; i < 3; i++) {
			const target = await writer(t, group, 120, threads);
			target.word[GO] = 1n;
			const { pid } = tracer.inject(target.pid);
			await early(t, tracer, pid);
			await writes(target, target.number(TURNS) + 3 * threads);
			t.is(target.process.signalCode, null, 'it lives');
			t.is(kills(group), 0);
			target.process.kill('SIGKILL');
			await target.ended();
		}
	});
}

test('where not even the clone has room: refused with the figures, and nothing was charged', async (t) => {
	const group = memoryGroup(t);
	if (group === null) return;
	limit(group, 64);
	const tracer = tracerFor(t), target = await writer(t, group, 60, 1);
	for (let i = 0; i < 10; i++) {
		const error = failure(t, () => tracer.inject(target.pid));
		t.is(error.code, 'ENOMEM');
		t.regex(error.message, /memory\.(limit_in_bytes|max): 6\d MiB used of 64 MiB, .* a duplicate needs 3\d MiB/);
	}
	target.word[GO] = 1n;
	await writes(target, 3);
	t.is(target.process.signalCode, null);
	t.is(kills(group), 0);
});

test('a limit above the target\'s own cgroup counts', async (t) => {
	const outer = memoryGroup(t);
	if (outer === null) return;
	limit(outer, 64);
	const target = await writer(t, outer.child('inner'), 60, 1);
	const error = failure(t, () => tracerFor(t).inject(target.pid));
	t.regex(error.message, new RegExp(`^${outer.folder}/memory\\.`));
});

for (const [threads, mib] of [[1, 130], [2, 140], [2, 400]] as const) {
	test(`room for all that ${threads} threads can write, ${mib} MiB: the duplicate stays`, async (t) => {
		const group = memoryGroup(t);
		if (group === null) return;
		limit(group, mib);
		const tracer = tracerFor(t), target = await writer(t, group, 60, threads);
		const { pid } = tracer.inject(target.pid);
		target.word[GO] = 1n;
		await writes(target, 4 * threads);
		await sleep(150);
		t.is(state(pid), 't', 'it is there when all has been copied');
		tracer.end();
		t.is(kills(group), 0);
	});
}

test('somebody else in the cgroup takes the room: the duplicate is ended before it is used up', async (t) => {
	const group = memoryGroup(t);
	if (group === null) return;
	limit(group, 190);
	const tracer = tracerFor(t), target = await writer(t, group, 60, 1);
	const other = await start(t, 'hazards', 'grow', 100);
	group.add(other.pid);
	const { pid } = tracer.inject(target.pid);
	await sleep(100);
	t.is(state(pid), 't');
	other.word[GO] = 1n;
	await other.atLeast(DONE, 1);
	await early(t, tracer, pid);
	target.word[GO] = 1n;
	await writes(target, 3);
	t.deepEqual([target.process.signalCode, other.process.signalCode, kills(group)], [null, null, 0]);
});

test('a duplicate that somebody else has ended is reported, and taken off the process table', async (t) => {
	const tracer = tracerFor(t), target = await start(t, 'states', 'idle');
	const { pid } = tracer.inject(target.pid);
	process.kill(pid, 'SIGKILL');
	await until('it is gone', () => state(pid) === '');
	t.regex(tracer.end().endedEarly ?? '', /ended by somebody else|killed from outside/);
	tracer.inject(target.pid);
	tracer.end();
	await target.runs(TURNS);
});
