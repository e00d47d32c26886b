/** What was read is not lost where something fails behind it: a disk that gets full, a name that is taken by then. */
import test, { type ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../common/errors.ts';
import { createFolder, FILES, NoRoom, type Destination } from '../../acquire/evidence/folder.ts';
import { take, type TakeOptions, type TakenEvidence } from '../../acquire/take.ts';
import { verifyFolder } from '../../acquire/verify.ts';
import { mechanismFor } from '../../mechanisms/shared/all.ts';
import { Workload } from '../../bench/targets/workload.ts';
import { testUnless } from '../unless.ts';
import { noMount } from './disk.ts';
import { temporaryFolder } from './help.ts';
import { startSmall } from './sealed.ts';
import { aKey } from './transfer/help.ts';

const MIB = 1 << 20;

/** Within this process, into `out`, by way of what `wrap` makes of the folder. */
const taken = (
	pid: number, out: string, wrap: (inner: Destination) => Partial<Destination>, options: Partial<TakeOptions> = {}
): Promise<TakenEvidence> => {
	const key = aKey();
	return take({
		pid, key: () => key, mechanisms: [mechanismFor()], ...options,
		destination: async () => {
			const inner = await createFolder(out);
			return { ...inner, ...wrap(inner) };
		},
	});
};

async function whole(t: ExecutionContext, { where, manifest }: TakenEvidence): Promise<void> {
	const verified = await verifyFolder(where);
	t.deepEqual(verified.faults, []);
	t.deepEqual(verified.manifest, manifest);
	t.deepEqual(
		readdirSync(where).sort(),
		Object.values(FILES).filter((name) => name !== FILES.timestamp && name !== FILES.program).sort()
	);
}

test('a disk that gets full: what was written by then is evidence, sealed as partial', async (t) => {
	const target = await Workload.start('resident', ['--rss', '40M']);
	t.teardown(() => target.close());
	const out = join(temporaryFolder(t), 'evidence'), fullAt = 12 * MIB;
	const evidence = await taken(target.pid, out, (inner) => ({
		write: async (bytes, offset) => {
			if (offset < fullAt) {
				await inner.write(bytes, offset);
				return;
			}
			// As a disk does it: a part is written.
			await inner.write(bytes.subarray(0, MIB), offset);
			throw new NoRoom('ENOSPC: no space left on device, write');
		},
	}));
	await whole(t, evidence);
	const { partial, core, regions } = evidence.manifest;
	t.is(partial?.reason, 'ENOSPC: no space left on device, write');
	t.is(partial?.missingBytes, core.bytes - fullAt);
	const content = readFileSync(join(out, FILES.core));
	t.is(content.length, core.bytes);
	t.true(content.subarray(fullAt).every((byte) => byte === 0), 'what is missing is zeros');
	t.is(core.sha256, createHash('sha256').update(content).digest('hex'));
	const missing = regions.flatMap(({ unreadable }) => unreadable).filter(({ errno }) => errno === 'ENOSPC');
	t.is(missing.reduce((sum, { bytes }) => sum + bytes, 0), core.bytes - fullAt, 'each region says what it misses');
	t.true(statSync(join(out, FILES.core)).blocks * 512 < fullAt + MIB, 'zeros take no room');
});

test('a disk that is full before the core\'s head is written: nothing is left', async (t) => {
	const pid = await startSmall(t), folder = temporaryFolder(t);
	await t.throwsAsync(
		taken(pid, join(folder, 'evidence'), () => ({ write: () => Promise.reject(new NoRoom('ENOSPC: no space')) })),
		{ instanceOf: Failure, message: 'ENOSPC: no space' }
	);
	t.deepEqual(readdirSync(folder), []);
});

testUnless(noMount())('a disk that is full when all of the core is there: room was kept for the seal', async (t) => {
	const pid = await startSmall(t), disk = temporaryFolder(t);
	execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'none', disk]);
	t.teardown(() => execFileSync('umount', ['--lazy', disk]));
	let free = Infinity;
	await whole(t, await taken(pid, join(disk, 'evidence'), (inner) => ({
		verified: async (root) => {
			await inner.verified(root);
			t.throws(() => writeFileSync(join(disk, 'others'), Buffer.alloc(24 * MIB)), { code: 'ENOSPC' });
			free = Number(execFileSync('df', ['--output=avail', '-B1', disk], { encoding: 'utf8' }).split('\n')[1]);
		},
	})));
	t.is(free, 0);
});

test('a name that is taken by then: the evidence has another one, and says which', async (t) => {
	const pid = await startSmall(t), folder = temporaryFolder(t), out = join(folder, 'evidence');
	const evidence = await taken(pid, out, (inner) => ({
		verified: async (root) => {
			await inner.verified(root);
			mkdirSync(out);
			symlinkSync('/nonexistent', `${out}-2`);
			writeFileSync(`${out}-3`, '');
		},
	}));
	t.is(evidence.where, `${out}-4`);
	await whole(t, evidence);
	t.deepEqual(readdirSync(out), [], 'the other one is as it was');
});

test('a link that leads nowhere is a name that is taken', async (t) => {
	const pid = await startSmall(t), folder = temporaryFolder(t), out = join(folder, 'evidence');
	symlinkSync('/nonexistent', out);
	await t.throwsAsync(taken(pid, out, () => ({})), { instanceOf: Failure, message: /is there already/ });
	t.deepEqual(readdirSync(folder), ['evidence']);
});

test('evidence that cannot be sealed: the core stays, and where is said; after Ctrl-C nothing does', async (t) => {
	const pid = await startSmall(t), folder = temporaryFolder(t), out = join(folder, 'evidence');
	const unsealed = (inner: Destination): Partial<Destination> => ({
		seal: () => Promise.reject(new Failure('the disk is gone')), discard: (keeps) => inner.discard(keeps),
	});
	const { message } = await t.throwsAsync(taken(pid, out, unsealed), { instanceOf: Failure });
	t.is(message, `the disk is gone; all of the core was read, and stays in ${out}.partial, without a seal`);
	t.deepEqual(readdirSync(`${out}.partial`), [FILES.core]);
	t.false(existsSync(out));

	const interrupted = new AbortController(), other = join(folder, 'other');
	await t.throwsAsync(taken(pid, other, (inner) => ({
		...unsealed(inner),
		verified: async (root) => {
			await inner.verified(root);
			interrupted.abort();
		},
	}), { signal: interrupted.signal }), { message: 'interrupted: nothing was kept' });
	t.deepEqual(readdirSync(folder), ['evidence.partial']);
});
