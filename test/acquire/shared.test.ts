/**
 * What a duplicate by inject is not given, so that it holds nothing of the target's: taken from the target, called by
 * its name, and not called hidden.
 */
import type { ExecutionContext } from 'ava';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mechanismFor } from '../../mechanisms/shared/all.ts';
import type { HiddenRegion } from '../../acquire/hidden.ts';
import type { Target } from '../native/help.ts';
import { NODE } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { regionAt, startTarget, takeEvidence, temporaryFolder } from './help.ts';
import { PAGE, residentPages } from './regions.ts';

const PAGES = 8;
const LOCKED = 1, SHARED = 2, HIDDEN = 3;

const injectTest = testUnless(
	mechanismFor().name === 'inject'
		? null
		: 'the kernel makes the duplicate here, and it has all of the target\'s memory'
);

async function startHeld(t: ExecutionContext, ...more: string[]): Promise<Target> {
	const file = join(temporaryFolder(t), 'file');
	writeFileSync(file, Buffer.alloc(PAGES * PAGE, 'f'));
	const target = await startTarget(t, 'held', file, ...more);
	await target.asleep();
	return target;
}

function hidden(pid: number): { status: number | null; why: (address: number) => string | undefined } {
	const { status, stdout } = spawnSync(
		NODE[0], [...NODE.slice(1), 'acquire/cli.ts', 'hidden', String(pid), '--json'], { encoding: 'utf8' }
	);
	const { regions } = JSON.parse(stdout) as {
		regions: Array<{ start: string; end: string; why: HiddenRegion['why'] }>;
	};
	return {
		status,
		why: (address) => regions.find(({ start, end }) => Number(start) <= address && address < Number(end))?.why,
	};
}

injectTest('shared memory and files with a lock are read from the target, which gets no page for that', async (t) => {
	const target = await startHeld(t, 'hide');
	const within = (pages: number[]) =>
		pages.filter((page) =>
			[LOCKED, SHARED, HIDDEN].some((n) => target.number(n) <= page && page < target.number(n) + PAGES * PAGE));
	const before = within(residentPages(target.pid));
	const { manifest, core } = await takeEvidence(t, target.pid, '--mechanism', 'inject');
	t.deepEqual(within(residentPages(target.pid)), before);
	t.is(before.length, 6, 'those that it has written to, and no others that the files have');
	const file = CoreFile.open(t, core);
	for (const [n, capture] of [
		[LOCKED, 'private-live'], [SHARED, 'shared-live'], [HIDDEN, 'hidden-by-dontfork'],
	] as const) {
		const at = target.number(n), region = regionAt(manifest, at);
		t.deepEqual(
			[region?.capture, region?.readFrom, region?.bytes, region?.unreadable], [capture, 'target', 2 * PAGE, []]
		);
		t.true(
			file.read(at + PAGE, 2 * PAGE).equals(Buffer.concat([Buffer.alloc(PAGE, 'b'), Buffer.alloc(PAGE, 'c')])),
			capture
		);
		// What a fork leaves out is copied in the stop.
		t.is(
			(region?.readBetweenNs?.[0] ?? 0) > manifest.momentNs, capture !== 'hidden-by-dontfork',
			'not of the moment, and it says so'
		);
	}
});

injectTest('hidden counts neither as hidden', async (t) => {
	const open = await startHeld(t), hiding = await startHeld(t, 'hide');
	const { status, why } = hidden(open.pid);
	t.deepEqual([status, why(open.number(LOCKED)), why(open.number(SHARED))], [0, undefined, 'shared']);
	const other = hidden(hiding.pid);
	t.deepEqual(
		[other.status, other.why(hiding.number(HIDDEN)), other.why(hiding.number(SHARED))], [4, 'left-out', 'shared']
	);
});
