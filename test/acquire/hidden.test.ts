/** What a copy made by fork misses is listed, with how much there is of it, and nothing is done to the target. */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { children, sleep, start } from '../native/help.ts';
import { isFree, NODE } from '../processes.ts';
import { startTarget } from './help.ts';
import { mapsOf, PAGE, residentPages, startRegions, type RegionName } from './regions.ts';

interface Listed { regions: Array<{ start: string; end: string; why: string; residentBytes: number }> }

const hidden = (...args: string[]) =>
	spawnSync(NODE[0], [...NODE.slice(1), 'acquire/cli.ts', 'hidden', ...args], { encoding: 'utf8' });

test('hidden lists what a fork leaves out, wipes, shares or cannot read, and no more', async (t) => {
	const { target, region } = await startRegions(t);
	const before = residentPages(target.pid);
	const { status, stdout, stderr } = hidden(String(target.pid), '--json');
	t.is(status, 4, stderr);
	// Where inject finds its instruction there may be one more.
	const [from = 0, to = 0] = (/^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(mapsOf(target.pid)) ?? []).slice(1)
		.map((text) => parseInt(text, 16));
	const outside = (pages: number[]) => pages.filter((page) => page < from || page >= to);
	t.deepEqual(outside(residentPages(target.pid)), outside(before), 'no page of the target came or went');
	const { regions } = JSON.parse(stdout) as Listed;
	const why = (name: RegionName) =>
		regions.find(({ start, end }) => Number(start) <= region[name].start && region[name].start < Number(end))?.why;
	t.deepEqual(
		[why('dontfork'), why('wipeonfork'), why('sharedAnonymous'), why('sharedMemfd')],
		['left-out', 'wiped', 'shared', 'shared']
	);
	if (region.secret.start !== 0) t.is(why('secret'), 'secret');
	if (region.device.start !== 0) t.is(why('device'), 'device');
	for (const name of ['anonymous', 'heap', 'fileModified', 'fileUnread', 'protNone', 'thp', 'reserved'] as const)
		t.is(why(name), undefined, name);
	const found = regions.find(({ start }) => Number(start) === region.dontfork.start);
	t.is(found?.residentBytes, region.dontfork.written.length * PAGE);
	t.true(isFree(target.pid));
	t.deepEqual(children(target.pid), []);

	const text = hidden(String(target.pid));
	t.is(text.status, 4);
	t.regex(
		text.stdout,
		new RegExp(
			`^ {2}${region.dontfork.start.toString(16)}-${region.dontfork.end.toString(16)} .*left out of a fork ` +
				`\\(MADV_DONTFORK\\)`,
			'm'
		)
	);
});

test('hidden of a process that hides nothing: exit 0', async (t) => {
	const target = await startTarget(t, 'reserve', 4, 3, 1);
	const { status, stdout } = hidden(String(target.pid), '--json');
	t.is(status, 0, stdout);
	t.deepEqual((JSON.parse(stdout) as Listed).regions.filter(({ why }) => !['shared', 'device'].includes(why)), []);
});

test('hidden of what is no process: an error of one line, exit 1', (t) => {
	const { status, stderr } = hidden('2');
	t.is(status, 1);
	t.regex(stderr, /^procsnap: process 2 .*kernel thread[^\n]*\n$/);
});

for (const json of [[], ['--json']])
	test(`hidden says what its stops did to blocked calls: ${json.join('') || 'text'}`, async (t) => {
		const target = await start(t, 'partial', 'recvmsg-waitall');
		await target.asleep();
		target.word[3] = 1n;
		target.tell('p');	// blocked with a part of what it waits for, whose rest cannot be asked for
		await sleep(50);
		await target.asleep();
		const { stdout, stderr } = hidden(String(target.pid), '--mechanism', 'inject', ...json);
		t.regex(stderr, /^procsnap: 1 call of recvmsg returned early to the target, and could not be put back$/m);
		if (json.length === 0) return;
		const { cutCalls, lengthenedTimeouts, calls } = JSON.parse(stdout) as {
			cutCalls: number; lengthenedTimeouts: number; calls: unknown;
		};
		t.deepEqual([cutCalls, lengthenedTimeouts], [1, 0]);
		t.deepEqual(calls, [{ call: 'recvmsg', restarted: 0, lengthened: 0, cut: 1 }]);
	});
