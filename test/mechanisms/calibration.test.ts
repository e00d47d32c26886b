/** What a step costs here is measured once in a while, and kept for this boot. */
import test, { type ExecutionContext } from 'ava';
import {
	existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, calibrated, type Here } from '../../mechanisms/shared/calibration.ts';
import { mechanism } from '../../mechanisms/precopy.ts';
import { tracerFor } from '../native/help.ts';
import { testUnless } from '../unless.ts';

const HERE: Here = { bootId: 'a-boot', kernel: '6.7.0', nowMs: 1_000_000_000_000 };
const DAY_MS = 86_400_000;

function aFolder(t: ExecutionContext): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return join(folder, 'procsnap');
}

/** How often it was measured. */
function counting(folder: string | null): { count: () => number; ask: (changes?: Partial<Here>) => number } {
	let count = 0;
	const measure = () => ({ protectNs: ++count, unprotectNs: 1 });
	return {
		count: () => count,
		ask: (changes = {}) => calibrated('trial', measure, folder, { ...HERE, ...changes }).protectNs,
	};
}

test('kept for a day, in a file that only its owner reads', (t) => {
	const folder = aFolder(t), { ask } = counting(folder);
	t.deepEqual([ask(), ask(), ask({ nowMs: HERE.nowMs + DAY_MS - 1 })], [1, 1, 1]);
	t.deepEqual(readdirSync(folder), ['trial.json'], 'nothing beside it');
	t.is(statSync(join(folder, 'trial.json')).mode & 0o777, 0o600);
	t.is(statSync(folder).mode & 0o777, 0o700);
	t.is(ask({ nowMs: HERE.nowMs + DAY_MS }), 2, 'a day later');
	t.is(ask({ nowMs: HERE.nowMs }), 3, 'from the future');
});

test('of another boot or kernel nothing is believed', (t) => {
	const { ask } = counting(aFolder(t));
	t.deepEqual([ask(), ask({ bootId: 'another' }), ask({ kernel: '6.8.0' }), ask({ kernel: '6.8.0' })], [1, 2, 3, 3]);
});

test('what is no such file is measured over', (t) => {
	const good = { ...HERE, protectNs: 77, unprotectNs: 1 };
	for (const text of [
		'', '{', 'null', '[]', '7', 'x'.repeat(10_000), JSON.stringify({ ...good, protectNs: '77' }),
		JSON.stringify({ ...good, protectNs: -1 }), JSON.stringify({ ...good, unprotectNs: 1e12 }),
		JSON.stringify({ ...good, unprotectNs: undefined }), JSON.stringify({ ...good, nowMs: 'x' }),
	]) {
		const folder = aFolder(t), { ask } = counting(folder);
		mkdirSync(folder);
		writeFileSync(join(folder, 'trial.json'), text);
		t.deepEqual([ask(), ask()], [1, 1], text.slice(0, 80));
	}
});

test('a link is not followed, and what it leads to is let be', (t) => {
	const folder = aFolder(t), { ask } = counting(folder), other = join(folder, 'other');
	mkdirSync(folder);
	writeFileSync(other, JSON.stringify({ ...HERE, protectNs: 77, unprotectNs: 1 }));
	symlinkSync(other, join(folder, 'trial.json'));
	t.is(ask(), 1);
	t.is((JSON.parse(readFileSync(other, 'utf8')) as { protectNs: number }).protectNs, 77);
	t.is(ask(), 1, 'the link was replaced');
});

test('where it cannot be kept, it is measured each time', (t) => {
	const file = join(aFolder(t), '..', 'file');
	writeFileSync(file, '');
	for (const folder of [null, join(file, 'procsnap'), '/proc/procsnap']) {
		const { ask } = counting(folder);
		t.deepEqual([ask(), ask()], [1, 2], String(folder));
	}
	t.false(existsSync('/proc/procsnap'));
});

test('in memory, unless the user says where', (t) => {
	t.is(cacheFolder({}, 0), '/run/procsnap');
	t.is(cacheFolder({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/run/user/7/procsnap');
	t.is(cacheFolder({ XDG_CACHE_HOME: '/var/cache', XDG_RUNTIME_DIR: '/run/user/7' }, 0), '/var/cache/procsnap');
	t.is(cacheFolder({}, 7), null);
	t.is(cacheFolder({ XDG_CACHE_HOME: 'here' }, 0), null);
});

testUnless(mechanism.unavailable())('measured by the tracer: some time for each page, and nothing is left', (t) => {
	const tracer = tracerFor(t);
	const children = (): string => readFileSync(`/proc/${tracer.pid}/task/${tracer.pid}/children`, 'utf8');
	const open = (): number => readdirSync(`/proc/${tracer.pid}/fd`).length, before = open();
	for (let i = 0; i < 3; i++) {
		const { protectNs, unprotectNs } = tracer.calibrate();
		// A look at one page table entry takes some nanoseconds, and a millisecond would be an error of the clock's.
		t.true(protectNs > 1 && protectNs < 1e6 && unprotectNs > 1 && unprotectNs < 1e6, `${protectNs} ${unprotectNs}`);
	}
	t.is(children(), '');
	t.is(open(), before);
});
