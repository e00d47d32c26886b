/** What the soak's takes count: neither twice, nor for somebody else, nor lost without a word. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { CallCount } from '../../native/index.ts';
import { countedIn } from './collector.ts';
import { AtRisk, creditUntold, TakeCounts } from './counts.ts';
import type { Documented, Kind } from './kinds.ts';
import type { Report } from './taker.ts';

const CLOSE: Documented = { text: /x/, call: 'close', countedAs: 'cut' };
const closes = (cut: number): CallCount[] => [{ call: 'close', restarted: 9, lengthened: 0, cut }];

test('each request is counted once, refused or not, and what fails beside them is not', (t) => {
	let last = closes(2);
	const counts = new TakeCounts(() => last, CLOSE);
	t.is(counts.during(() => 'done'), 'done');
	t.is(counts.counted, 2);
	last = closes(3);
	t.throws(() => counts.during(() => { throw new Error('refused'); }), { message: 'refused' });
	t.is(counts.counted, 5);
	counts.lose();
	counts.during(() => {});
	t.is(counts.counted, null, 'what was lost stays lost');
	const other = new TakeCounts(() => last, null);
	other.during(() => {});
	t.is(other.counted, 0, 'nothing is documented for this target');
});

test('untold counts are credited to one target, which that tracer was asked for', (t) => {
	const documented = [CLOSE, null, CLOSE, CLOSE];
	t.deepEqual(creditUntold(closes(2), [1], documented), [], 'no target of this tracer documents it');
	t.deepEqual(creditUntold(closes(2), [0, 1, 0], documented), [{ target: 0, counted: 2 }]);
	t.deepEqual(creditUntold(closes(2), [2, 0, 2, 1], documented), [{ target: 2, counted: 2 }], 'the last one');
	t.deepEqual(creditUntold(closes(0), [0], documented), []);
});

const taken = (target: number, changes: Partial<Extract<Report, { kind: 'take' }>> = {}): Report =>
	({ kind: 'take', target, mechanism: 'inject', outcome: 'taken', counted: 0, untold: false, ...changes });

test('whoever is killed in a take or between takes loses the counts that were not reported', (t) => {
	const killed = (...reports: Report[]): number[] => {
		const atRisk = new AtRisk();
		return [...reports.flatMap((report) => atRisk.saw(report)), ...atRisk.ended()];
	};
	t.deepEqual(killed({ kind: 'begun', target: 1 }), [1], 'in a take');
	t.deepEqual(killed({ kind: 'begun', target: 1 }, taken(1)), [], 'after it');
	t.deepEqual(killed(taken(1, { untold: true }), taken(2)), [1], 'before the tracer has told all');
	t.deepEqual(killed(taken(1, { untold: true }), { kind: 'left' }), [], 'after that');
	t.deepEqual(killed(taken(1, { untold: true }), taken(1)), [], 'a later end of the same target has told it');
	t.deepEqual(killed(taken(1, { untold: true }), taken(1, { mechanism: 'hold' })), [1], 'which others do not');
	t.deepEqual(killed(taken(1, { untold: true }), taken(2, { counted: null })), [2, 1], 'the tracer was killed');
});

test('what a take tells after the seal counts too; where it cannot tell, its counts are lost', (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true }));
	const count = (untold: unknown, endFailed: string | null, documented?: Documented): number | null => {
		writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ledger: { calls: closes(2), endFailed } }));
		return countedIn(
			folder, `${JSON.stringify({ untold })}\n`,
			{ kind: { ...documented === undefined ? {} : { documented } } as Kind }
		);
	};
	t.is(count({ pauseNs: 0, calls: [] }, null, CLOSE), 2);
	t.is(count({ pauseNs: 1, calls: closes(3) }, null, CLOSE), 5);
	t.is(count({ pauseNs: 1, calls: closes(3) }, null), 0, 'nothing is documented');
	t.is(count(null, null, CLOSE), null, 'the tracer was gone');
	t.is(count({ pauseNs: 0, calls: [] }, 'nobody knows', CLOSE), null);
});
