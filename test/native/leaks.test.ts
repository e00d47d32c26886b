/** What is done again and again leaves nothing: neither in the target, nor in the tracer, nor in the requester. */
import test, { type ExecutionContext } from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Tracer } from '../../native/index.ts';
import { aMark, isFree, leftOver, marked } from '../processes.ts';
import type { Footprint } from './footprint.ts';
import { children, start, status } from './help.ts';

// In all that is started here, and in duplicates of it.
const mark = aMark();
process.env[mark.split('=')[0]!] = mark.split('=')[1];

type Footprints = Record<string, Footprint>;

/**
 * Have mortal.ts do something many times; what all concerned had before and after. Its stderr, which is the tracer's
 * too, must be silent.
 */
async function repeat(t: ExecutionContext, ...args: Array<string | number>): Promise<{
	before: Footprints; after: Footprints;
}> {
	const script = fileURLToPath(new URL('mortal.ts', import.meta.url));
	const child = spawn(
		process.execPath, ['--expose-gc', script, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] }
	);
	t.teardown(() => child.kill('SIGKILL'));
	let out = '', errors = '';
	child.stdout.on('data', (text: Buffer) => void (out += text.toString()));
	child.stderr.on('data', (text: Buffer) => void (errors += text.toString()));
	const [code] = await once(child, 'close') as [number | null];
	t.is(errors, '', 'stderr is silent');
	t.is(code, 0);
	return JSON.parse(out.trim().split('\n').at(-1)!) as { before: Footprints; after: Footprints };
}

function assertSame(t: ExecutionContext, name: string, before: Footprint, after: Footprint): void {
	// The slack is far less than a page a round.
	t.true(after.rssKiB - before.rssKiB < 1500, `${name}: RSS grew from ${before.rssKiB} to ${after.rssKiB} KiB`);
	t.is(after.mappings.length, before.mappings.length, `${name}: mappings`);
	for (const what of ['fds', 'threads', 'children', 'traced'] as const)
		t.is(after[what], before[what], `${name}: ${what}`);
}

/** Node's heap comes and goes. */
function assertSameInNode(t: ExecutionContext, before: Footprint, after: Footprint): void {
	t.true(
		after.rssKiB - before.rssKiB < 40_000, `the requester's RSS grew from ${before.rssKiB} to ${after.rssKiB} KiB`
	);
	t.true(after.mappings.length - before.mappings.length < 60, 'its mappings');
	for (const what of ['fds', 'children', 'traced'] as const) t.is(after[what], before[what], `requester: ${what}`);
}

for (const [what, verb, rounds] of [
	['duplicates', 'cycles', 2000], ['times stop and copy', 'copy-cycles', 100],
] as const)
	test(`${rounds} ${what} of one target`, async (t) => {
		const target = await start(t, verb === 'cycles' ? 'states' : 'region', 'threaded');
		const { before, after } = await repeat(t, verb, rounds, target.pid);
		for (const name of ['tracer', 'target']) assertSame(t, name, before[name]!, after[name]!);
		t.deepEqual(after['target']!.mappings, before['target']!.mappings);
		assertSameInNode(t, before['requester']!, after['requester']!);
		t.deepEqual(children(target.pid), []);
		t.true(isFree(target.pid));
		t.deepEqual(marked(mark), [target.pid], 'processes that are left');
	});

test('200 tracers, one after the other', async (t) => {
	const { before, after } = await repeat(t, 'starts', 200);
	assertSameInNode(t, before['requester']!, after['requester']!);
	const areas = ({ mappings }: Footprint): number =>
		mappings.filter((line) => line.includes('memfd:procsnap')).length;
	t.true(areas(after['requester']!) <= 2, `${areas(after['requester']!)} areas of closed tracers are mapped`);
	t.deepEqual(await leftOver(mark), []);
});

test('tracers leave nothing when they are closed, in whatever state', async (t) => {
	const target = await start(t, 'states', 'idle'), before = readdirSync('/proc/self/fd').length;
	for (let i = 0; i < 20; i++) {
		const tracer = Tracer.start();
		if (i % 4 === 1) tracer.inject(target.pid);
		if (i % 4 === 2) tracer.hold(target.pid);
		if (i % 4 === 3) tracer.stopCopy(target.pid);
		tracer.close();
		t.is(status(tracer.pid, 'State'), '');
	}
	t.deepEqual(children(target.pid), []);
	t.true(readdirSync('/proc/self/fd').length <= before);
	await target.runs(1);
});
