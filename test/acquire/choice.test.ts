/** Which mechanism a take uses, and why: a table. */
import test from 'ava';
import { candidatesFor } from '../../acquire/candidates.ts';
import { asAsked, chooseMechanism, type Candidate } from '../../acquire/choice.ts';
import { Failure } from '../../common/errors.ts';
import type { Mechanism } from '../../mechanisms/shared/types.ts';
import { fakeMechanism, fakeTracer } from '../bench/runner/fakes.ts';

interface Told { pauseMs?: number | null; pageUs?: number; refused?: string; note?: string; unavailable?: string }

/** `null`: it does not predict. */
const candidate = (name: string, told: Told | null): Candidate => ({
	mechanism: fakeMechanism({ name, notForEvidence: null }), unavailable: told?.unavailable ?? null,
	estimate: told === null || told.unavailable !== undefined ? null : {
		threads: 1, residentKib: 1, tablesKib: 1, growthKib: 0, headroomKib: null, unseen: [],
		reasons: [['refused', told.refused, 'ENOMEM'], ['note', told.note, null]].flatMap(([, reason, code]) =>
			(reason == null ? [] : [{ name: reason, code: code ?? null, text: 'why' }])),
		pauseNs: told.pauseMs == null ? null : told.pauseMs * 1e6,
		disturbance: told.pageUs === undefined ? null : { pageNs: told.pageUs * 1000, lastsNs: 2e9 },
	},
});

const CASES: Array<[string, Record<string, Told | null>, string, RegExp, string[]]> = [
	[
		'the first, where all are alike', { a: { pauseMs: 0.2 }, b: { pauseMs: 0.2 } }, 'a',
		/^the first that can be used here, with a predicted pause of 200 µs$/, ['b'],
	],
	[
		'the first, if it does not predict', { a: null, b: { pauseMs: 0.1 } }, 'a',
		/^the first that can be used here$/, ['b'],
	],
	['the first, if its pause is short', { a: { pauseMs: 1 }, b: { pauseMs: 0.1 } }, 'a', /^the first/, ['b']],
	[
		'another one, if that of the first is not', { a: { pauseMs: 1.01 }, b: { pauseMs: 0.1 } }, 'b',
		/^a predicted pause of 100 µs instead of 1\.0 ms by a$/, ['a'],
	],
	[
		'the first, if the other one is not better by half', { a: { pauseMs: 10 }, b: { pauseMs: 5 } }, 'a',
		/^the first/, ['b'],
	],
	[
		'another one, if it is', { a: { pauseMs: 10 }, b: { pauseMs: 4.99, pageUs: 5 } }, 'b',
		/^a predicted pause of 5\.0 ms instead of 10\.0 ms by a; protecting a page costs 5\.0 µs here$/,
		['a'],
	],
	[
		'the first, where the other one disturbs for long',
		{ a: { pauseMs: 100 }, b: { pauseMs: 0.2, pageUs: 5.1 } }, 'a',
		/^the first/, ['b'],
	],
	[
		'the first, where the other one cannot tell', { a: { pauseMs: 100 }, b: { pauseMs: null } }, 'a',
		/^the first/, ['b'],
	],
	[
		'the best of the better ones', { a: { pauseMs: 100 }, b: { pauseMs: 3 }, c: { pauseMs: 2 } }, 'c',
		/instead of 100\.0 ms by a/, ['a', 'b'],
	],
	[
		'what refuses is passed over', { a: { refused: 'tight' }, b: { pauseMs: 0.2, pageUs: 20 } }, 'b',
		/^the first that would not refuse the process \(a: tight\)$/, [],
	],
	[
		'the best of those that do not', { a: { refused: 'tight' }, b: { pauseMs: 9 }, c: { pauseMs: 1 } }, 'c',
		/instead of 9\.0 ms by b/, ['b'],
	],
	[
		'a note refuses nothing', { a: { pauseMs: 0.2, note: 'held' }, b: { pauseMs: 0.2 } }, 'a',
		/^the first that can be/, ['b'],
	],
	['better, but refusing', { a: { pauseMs: 100 }, b: { refused: 'odd' } }, 'a', /^the first that can be/, []],
	[
		'what cannot be used here is passed over', { a: { unavailable: 'no kernel' }, b: { pauseMs: 30 } }, 'b',
		/^the first that can be used here, with a predicted pause of 30\.0 ms$/, [],
	],
	[
		'where all refuse, the first',
		{ a: { unavailable: 'no kernel' }, b: { refused: 'one' }, c: { refused: 'two' } }, 'b',
		/and all of them would refuse the process$/, [],
	],
];

for (const [title, told, name, why, next] of CASES)
	test(title, (t) => {
		const candidates = Object.entries(told).map(([each, of]) => candidate(each, of));
		const choice = chooseMechanism(candidates);
		t.is(choice.mechanism.name, name);
		t.regex(choice.why, why);
		t.deepEqual(choice.next.map((each) => each.name), next);
		t.deepEqual(choice.passedOver.map((each) => each.name), Object.keys(told).filter((each) => each !== name));
	});

test('why the others were not used', (t) => {
	const whys = (told: Record<string, Told | null>): string[] => {
		const candidates = Object.entries(told).map(([name, of]) => candidate(name, of));
		return chooseMechanism(candidates).passedOver.map(({ why }) => why);
	};
	const four = { a: { unavailable: 'no kernel' }, b: { pauseMs: 0.2 }, c: { refused: 'odd' }, d: { pauseMs: 0.1 } };
	t.deepEqual(whys(four), [
		'no kernel', 'it would refuse the process (odd: why)',
		'b comes first, and its predicted pause is short, 200 µs',
	]);
	t.deepEqual(whys({ a: null, b: { pauseMs: 1 } }), ['a comes first']);
	const dear = { a: { pauseMs: 20 }, b: { pauseMs: 12 }, c: { pauseMs: null }, d: { pauseMs: 1, pageUs: 15 } };
	t.deepEqual(whys(dear), [
		'its predicted pause of 12.0 ms is not less than half of that by a, 20.0 ms',
		'a comes first, and the pause of this one cannot be predicted here',
		'its predicted pause is 1.0 ms, but on this machine it would disturb the process too much: pages are ' +
			'protected in short steps, 2.0 s in all, at 15.0 µs a page',
	]);
	t.deepEqual(
		whys({ a: { pauseMs: 20 }, b: { pauseMs: 1 } }), ['its predicted pause is 20.0 ms, and that by b is 1.0 ms']
	);
});

test('none that can be used: what each of them lacks', (t) => {
	t.throws(
		() =>
			chooseMechanism(
				[candidate('a', { unavailable: 'no kernel' }), candidate('b', { unavailable: 'no right' })]
			),
		{ instanceOf: Failure, message: 'no mechanism can be used here: a: no kernel; b: no right' }
	);
});

test('where the first that can be used does not predict, the others are not asked, but for who wants to know', (t) => {
	let asked = 0;
	const absent = fakeMechanism({
		name: 'absent', unavailable: () => 'no kernel', estimate: () => { throw new Error('asked'); },
	});
	const silent = fakeMechanism({ name: 'silent' });
	const predicting = fakeMechanism({
		name: 'predicting', estimate: () => {
			asked += 1;
			return candidate('x', { pauseMs: 1 }).estimate!;
		},
	});
	const found = (mechanisms: Mechanism[], all = false): boolean[] =>
		candidatesFor(fakeTracer(), 1, { mechanisms, all }).map(({ estimate }) => estimate !== null);
	t.deepEqual(found([absent, silent, predicting]), [false, false, false]);
	t.is(asked, 0);
	t.deepEqual(found([absent, silent, predicting], true), [false, false, true]);
	t.deepEqual(found([absent, predicting, silent]), [false, true, false]);
});

test('what is asked for is used, and nothing else', (t) => {
	const [a, b] = [fakeMechanism({ name: 'a' }), fakeMechanism({ name: 'b' })];
	t.deepEqual(asAsked([a]), { mechanism: a, next: [], passedOver: [], why: 'it was asked for' });
	t.deepEqual(asAsked([b, a]), { mechanism: b, next: [a], passedOver: [], why: 'it was asked for, and after it a' });
});
