/**
 * A duplicate that ends before its time, or that cannot be ended as it should, costs no evidence: what was read is
 * kept, and what is missing is said.
 */
import test, { type ExecutionContext } from 'ava';
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { describe } from '../../acquire/commands/take.ts';
import { Failure } from '../../common/errors.ts';
import { createFolder, type Destination } from '../../acquire/evidence/folder.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { mechanismFor } from '../../mechanisms/shared/all.ts';
import { take } from '../../acquire/take.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { children, start, state, tracerFor, until } from '../native/help.ts';
import { commandLine, isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { CoreFile } from './core-file.ts';
import { Heavy, HEAVY_BYTES } from './heavy.ts';
import { regionAt, startTarget, temporaryFolder } from './help.ts';
import { procsnap } from './real/taking.ts';
import { aKey, Authority, HOST, keptIn, linkTest, ReceiverProcess, underWayIn } from './transfer/help.ts';

const MIB = 1 << 20;
/** What is looked at is a duplicate's end; where a copy is no process, there is none. */
const duplicating = mechanismFor();
const injectTest = testUnless(
	duplicating.name === 'inject'
		? null
		: 'the kernel makes the duplicate here, and the target has no part in its end'
);

/** Take within this process; `first` happens when the first bytes have been read and no more, `last` when all have. */
async function taken(
	t: ExecutionContext, pid: number, { first, last }: { first?: () => unknown; last?: () => unknown }
) {
	const dir = join(temporaryFolder(t), 'evidence'), key = aKey();
	let begun = false;
	const wrap = (inner: Destination): Destination => ({
		...inner,
		write: async (bytes, offset) => {
			await inner.write(bytes, offset);
			if (begun) return;
			begun = true;
			await first?.();
		},
		verified: async (root) => {
			await last?.();
			await inner.verified(root);
		},
	});
	const { manifest, untold } = await take({
		pid, key: () => key, destination: async () => wrap(await createFolder(dir)), mechanisms: [duplicating],
	});
	const { faults, manifest: parsed } = await verifyFolder(dir);
	t.deepEqual(faults, [], 'what is there can be verified');
	t.deepEqual(parsed, manifest);
	return { dir, manifest, untold, text: `${describe(dir, manifest).join('\n')}\n` };
}

const bytesOf = (parts: ReadonlyArray<{ bytes: number }>): number => parts.reduce((sum, { bytes }) => sum + bytes, 0);

const bytesIn = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Bytes of the duplicate that are said to be missing. */
const missingIn = ({ regions }: Manifest): number =>
	bytesOf(regions.filter(({ readFrom }) => readFrom === 'duplicate').flatMap(({ unreadable }) => unreadable)
		.filter(({ errno }) => errno === 'ESRCH'));

/** What is missing is zeros in the core, and what is not is what the target has. */
function assertContent(t: ExecutionContext, dir: string, { regions }: Manifest): void {
	const core = CoreFile.open(t, join(dir, 'core'));
	for (const { start, bytes } of regions.flatMap(({ unreadable }) =>
		unreadable.filter(({ errno }) => errno === 'ESRCH'))) {
		t.true(core.read(Number(start), Math.min(bytes, MIB)).every((byte) => byte === 0), `zeros at ${start}`);
	}
}

injectTest('a duplicate that somebody kills: exit code 5, and what was read by then is kept', async (t) => {
	const heavy = await Heavy.start(t), out = heavy.nextOut();
	const taking = procsnap(
		'take', String(heavy.pid), '--out', out, '--key', heavy.key, '--mechanism', duplicating.name
	);
	await heavy.coreHas(out, HEAVY_BYTES / 3);
	const [duplicate = 0] = children(heavy.pid);
	process.kill(duplicate, 'SIGKILL');
	const { code, stdout, stderr } = await taking;
	t.is(code, 5, stderr);
	t.regex(
		stdout, /\n {2}partial: \d[^\n]* of the duplicate were not read: the duplicate [^\n]*(?:killed|ended)[^\n]*\n$/,
		'the last line'
	);

	const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as Manifest;
	t.true(
		manifest.partial !== null && manifest.partial.missingBytes > 0 && manifest.partial.missingBytes < HEAVY_BYTES
	);
	t.is(missingIn(manifest), manifest.partial?.missingBytes as number, 'each region says what it misses');
	t.true(bytesOf(manifest.regions) - missingIn(manifest) > HEAVY_BYTES / 4, 'a third had been read');
	t.is(manifest.ledger.copiedBytes, null, 'nobody can say that now');
	assertContent(t, out, manifest);
	await heavy.leftAlone(t, 'after a partial take');

	const verified = await procsnap('verify', out, '--key', `${heavy.key}.pub`);
	t.is(verified.code, 0);
	t.regex(verified.stdout, /: whole: .*\n {2}process .*\n {2}partial: .* were not read: /);
	t.deepEqual(
		(JSON.parse((await procsnap('verify', out, '--json')).stdout) as Pick<Manifest, 'partial'>).partial,
		manifest.partial
	);
	t.regex((await procsnap('info', out)).stdout, /^ {2}partial: .* were not read: /m);
});

injectTest('a duplicate that ends early is buried at once, and shared memory is still read', async (t) => {
	const target = await startTarget(t, 'sharing', 24, 8);
	let left: number[] = [];
	const { dir, manifest } = await taken(t, target.pid, {
		first: () => process.kill(children(target.pid)[0] as number, 'SIGKILL'),
		last: () => { left = children(target.pid); },
	});
	t.true(manifest.partial !== null && manifest.partial.missingBytes > 0);
	t.deepEqual(left, [], 'before the evidence is sealed');
	const shared = manifest.regions.filter(({ capture, bytes }) => capture === 'shared-live' && bytes >= 8 * MIB);
	t.is(shared.length, 1);
	t.deepEqual(shared.flatMap(({ unreadable }) => unreadable), []);
	assertContent(t, dir, manifest);
	t.true(isFree(target.pid));
});

linkTest('partial evidence that is sent is kept by the receiver, and says that it is partial', async (t) => {
	if (duplicating.name !== 'inject') {
		t.pass('the kernel makes the duplicate here');
		return;
	}
	const authority = new Authority(t, HOST, 'collector'), target = await startTarget(t, 'reserve', 72, 64, 1);
	const base = temporaryFolder(t), out = join(base, 'received');
	const receiver = new ReceiverProcess(t, ['--out', out, ...authority.options(HOST)]);
	await receiver.start();
	const taking = procsnap(
		'take', String(target.pid), '--to', `${HOST}:${receiver.port}`, '--max-rate', '16M', '--key', join(base, 'key'),
		'--mechanism', duplicating.name, ...authority.options('collector')
	);
	// What the collector reads ahead of its link is less than the target has.
	await until(
		'the first bytes are there',
		() =>
			underWayIn(out).some((name) => !name.endsWith('.json') && bytesIn(join(out, '.incoming', name, 'core')) > 0)
	);
	process.kill(children(target.pid)[0] as number, 'SIGKILL');
	const { code, stdout, stderr } = await taking;
	t.is(code, 5, stderr);
	t.regex(stdout, /\n {2}partial: [^\n]+\n$/);
	const [name = ''] = keptIn(out);
	const { manifest, faults } = await verifyFolder(join(out, name), readFileSync(join(base, 'key.pub')));
	t.deepEqual(faults, []);
	t.true(manifest !== null && manifest.partial !== null && manifest.partial.missingBytes > 0);
	t.deepEqual(children(target.pid), []);
});

injectTest('a debugger that attaches meanwhile: the evidence is whole, and the ledger has that the duplicate is not ' +
	'buried', async (t) => {
	const target = await startTarget(t, 'reserve', 16, 12, 1), rival = tracerFor(t);
	const { manifest: { partial, ledger, regions }, text } = await taken(
		t, target.pid, { last: () => rival.hold(target.pid) }
	);
	t.is(partial, null);
	t.deepEqual(
		regions.flatMap(({ readFrom, unreadable }) => (readFrom === 'duplicate' ? unreadable : []))
			.filter(({ errno }) => errno === 'ESRCH'),
		[]
	);
	const reason = ledger.unburied ?? ledger.endFailed;
	t.regex(reason ?? '', /\S/, 'the ledger has the reason');
	t.regex(
		text,
		ledger.unburied === null
			? /how the duplicate was ended is not known: /
			: /is still a zombie child of the target: /
	);
	t.is(children(target.pid).length, 1, 'and it is true');
	rival.letGo();
	rival.close();
	t.true(isFree(target.pid));
});

injectTest('a burial that was tried again is in the ledger, with how long the target was stopped for it', async (t) => {
	const target = await startTarget(t, 'reserve', 40, 36, 1), rival = tracerFor(t);
	const { manifest: { ledger }, untold } = await taken(t, target.pid, {
		first: async () => {
			const [duplicate = 0] = children(target.pid);
			rival.hold(target.pid);
			process.kill(duplicate, 'SIGKILL');
			await until('it has ended', () => state(duplicate) === 'Z');
			await sleep(100);
			rival.letGo();
			await until('it is buried', () => children(target.pid).length === 0);
		},
	});
	t.regex(ledger.endedEarly ?? '', /\S/);
	t.is(ledger.unburied, null);
	t.true(ledger.endPauseNs !== null && ledger.endPauseNs > 0);
	t.is(untold?.pauseNs, 0, 'nothing is told twice');
});

injectTest('evidence that cannot be kept: what the end of the duplicate cut is said all the same', async (t) => {
	const target = await start(t, 'partial', 'recvmsg-waitall'), dir = join(temporaryFolder(t), 'evidence');
	await target.asleep();
	const error = await t.throwsAsync(take({
		pid: target.pid, key: aKey,
		destination: async () => ({
			...await createFolder(dir),
			verified: async () => {
				target.tell('p');
				await sleep(50);
				await target.asleep();
				throw new Failure('there is no room');
			},
		}),
	}), { instanceOf: Failure });
	t.regex(error.message, /^there is no room; 1 call of recvmsg returned early/);
	t.deepEqual(children(target.pid), []);
});

injectTest('take --json has what the manifest was sealed too early for', async (t) => {
	const target = await startTarget(t, 'reserve', 4, 3, 1), base = temporaryFolder(t);
	const { stdout } = await procsnap(
		'take', String(target.pid), '--json', '--out', join(base, 'evidence'), '--key', join(base, 'key'),
		'--mechanism', duplicating.name
	);
	t.deepEqual((JSON.parse(stdout) as { untold: unknown }).untold, { pauseNs: 0, calls: [] });
});

injectTest('a tracer that is killed takes the duplicate with it: what was read is kept, and what is not known is ' +
	'null', async (t) => {
	const target = await startTarget(t, 'reserve', 40, 36, 1);
	const { manifest: { partial, ledger, regions }, untold, text } = await taken(t, target.pid, {
		first: async () => {
			const [tracer = 0] = children(process.pid).filter((pid) => commandLine(pid).includes('procsnap-tracer'));
			const [duplicate = 0] = children(target.pid);
			process.kill(tracer, 'SIGKILL');
			await until('the duplicate ends with it', () => state(duplicate) === 'Z' || state(duplicate) === '');
		},
	});
	t.regex(partial?.reason ?? '', /^the tracer is gone/);
	t.regex(ledger.endFailed ?? '', /^the tracer is gone/);
	t.deepEqual([ledger.endPauseNs, ledger.unburied, ledger.endedEarly], [null, null, null]);
	t.is(untold, null, 'not known is not nothing');
	t.true(bytesOf(regions) > (partial?.missingBytes ?? Infinity));
	t.regex(text, /and nobody knows for how long when the duplicate was ended\n/);
	t.regex(text, /\n {2}partial: [^\n]*\n$/);
	t.true(isFree(target.pid));
});

test('a target that ends while it is taken: what only it had is unreadable, and that is said', async (t) => {
	const target = await startTarget(t, 'again');
	const { manifest, text } = await taken(t, target.pid, {
		first: async () => {
			target.process.kill('SIGKILL');
			await target.ended();
		},
	});
	const { partial, regions, ledger } = manifest;
	t.is(partial, null, 'the duplicate was read to its end');
	t.deepEqual(
		[ledger.minorFaults, ledger.majorFaults, ledger.residentKiBAfter], [null, null, null], 'nobody can say that now'
	);
	const frozen = regions.filter(({ capture }) => capture === 'frozen');
	t.true(bytesOf(frozen) >= 48 * MIB);
	t.deepEqual(frozen.flatMap(({ unreadable }) => unreadable), []);
	if (manifest.mechanism.name !== 'inject') return;
	const lost = regions.filter(({ readFrom, unreadable }) =>
		readFrom === 'target' && unreadable.some(({ errno }) => errno === 'ESRCH'));
	t.true(lost.some(({ bytes, unreadable }) => bytes >= 8 * MIB && bytesOf(unreadable) > 0), 'its shared memory');
	t.regex(
		text,
		new RegExp(
			`^  ${lost.length} regions? of the target's own memory could not be read, or not all of it: the target ` +
				`had ended$`,
			'm'
		)
	);
});

injectTest('a target that executes another program meanwhile: that one\'s memory is not taken for the first one\'s',
	async (t) => {
	const target = await startTarget(t, 'again');
	const { dir, manifest } = await taken(t, target.pid, {
		first: async () => {
			target.tell('x');
			await target.atLeast(2, 2);
		},
	});
	const region = regionAt(manifest, target.number(1));
	t.is(region?.readFrom, 'target');
	const content = CoreFile.open(t, join(dir, 'core')).read(target.number(1), region?.bytes ?? 0);
	t.false(content.includes('B'), 'of the second program');
	t.true(
		bytesOf(region?.unreadable.filter(({ errno }) => errno === 'ESRCH') ?? []) > 0, 'of the first one it is gone'
	);
	t.is(region?.capture, 'unreadable');
});
