import test from 'ava';
import { createReader, faults, type Outcome } from './tap.ts';

function read(...chunks: string[]): Map<string, Outcome> {
	const found = new Map<string, Outcome>();
	const take = createReader((name, outcome) => found.set(name, outcome));
	chunks.forEach((chunk) => take(chunk));
	return found;
}

test('a program that passed, in whatever pieces its text comes', (t) => {
	const { status, seconds, passed, notes, skipped, ...rest } = read(
		'noise\n# begin a\nok 1 - x\n# fig', 'ure 3\nok 2 - y # SKIP no z\n1..2\n# end a 0', ' 1.5\n'
	).get('a')!;
	t.deepEqual(
		{ status, seconds, passed, notes, skipped },
		{ status: 0, seconds: 1.5, passed: 1, notes: ['figure 3'], skipped: ['y # SKIP no z'] }
	);
	t.deepEqual(faults({ status, seconds, passed, notes, skipped, ...rest }), []);
});

test('each way to fail is seen', (t) => {
	const of = (text: string) => faults(read(`# begin a\n${text}`).get('a')!);
	t.regex(of('ok 1 - x\nnot ok 2 - y\n1..2\n# end a 1 0\n').join(), /not ok 2 - y.*exit status 1/);
	t.regex(of('ok 1 - x\n1..2\n# end a 0 0\n').join(), /1 test points of 2: it ended too early/);
	t.regex(of('ok 1 - x\n# end a 0 0\n').join(), /of an unknown number/);
	t.regex(of('1..0 # SKIP this kernel has no call\n# end a 4 0\n').join(), /0 test points of 0.*exit status 4/);
	t.regex(of('ok 1 - x\nBail out! no memory\n1..1\n# end a 1 0\n').join(), /Bail out! no memory/);
	t.regex(of('ok 1 - x\n1..1\n# end a 124 60\n').join(), /it hung/);
	t.is(read('# begin a\nok 1 - x\n1..1\n').size, 0, 'a program that has not ended has no outcome');
});
