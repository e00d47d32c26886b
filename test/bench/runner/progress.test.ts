import test from 'ava';
import { planBlocks } from '../../../bench/runner/plan.ts';
import { createProgress, formatDuration } from '../../../bench/runner/progress.ts';
import { fakeExperiment, fakeScreen } from './fakes.ts';

const OK: { status: 'ok'; failures: never[] } = { status: 'ok', failures: [] };

test('durations as a person would say them', (t) => {
	t.deepEqual([0, 440, 9_940, 12_300, 59_600, 61_000, 605_000, 3_600_000, 7_800_000].map(formatDuration), [
		'0.0 s', '0.4 s', '9.9 s', '12 s', '1 min 00 s', '1 min 01 s', '10 min 05 s', '1 h 00 min', '2 h 10 min',
	]);
});

test('no terminal: one plain line for each variant that is done', (t) => {
	const experiment = fakeExperiment();
	const plan = planBlocks([{ experiment, variants: experiment.variants('smoke', []) }], 1);
	const screen = fakeScreen();
	const progress = createProgress(plan, screen);
	for (const [index, planned] of plan.entries()) {
		progress.starting(planned);
		progress.finished(planned, 1000, index === 0 ? { status: 'ok', failures: [{ round: 1, message: 'x' }] } : OK);
	}
	progress.end();
	const lines = screen.text.split('\n').sort();
	t.is(lines.length, 3);
	t.false(screen.text.includes('\r'));
	t.regex(screen.text, /^fake: (one|two): 10 rounds in 2\.0 s(, 1 failed)?; 1\.0 s left\n/);
	t.is(screen.text.match(/, 1 failed/g)?.length, 1);
});

test('on a terminal one line for each experiment is redrawn, with the time left', (t) => {
	const first = fakeExperiment({ name: 'first' });
	const second = fakeExperiment({ name: 'second' });
	const plan = planBlocks(
		[first, second].map((experiment) => ({ experiment, variants: experiment.variants('smoke', []) })), 1
	);
	const screen = fakeScreen({ isTTY: true, columns: 60 });
	const progress = createProgress(plan, screen);
	for (const planned of plan) {
		progress.starting(planned);
		progress.finished(planned, 30_000, OK);
	}
	progress.end();
	const lines = screen.text.split('\n');
	t.is(lines.length, 3);
	t.deepEqual(lines[0]?.split('\r\x1b[K'), [
		'',
		'first: 0 %, 0 of 4 blocks, time left not known yet',
		'first: 25 %, 1 of 4 blocks, 1 min 30 s left',
		'first: 50 %, 2 of 4 blocks, 1 min 00 s left',
		'first: 75 %, 3 of 4 blocks, 30 s left',
		'first: 4 blocks in 2 min 00 s',
	]);
});

test('a slow variant\'s blocks count as slow, a skipped block as no time', (t) => {
	const experiment = fakeExperiment();
	const plan = planBlocks([{ experiment, variants: experiment.variants('smoke', []) }], 1);
	const screen = fakeScreen({ isTTY: true });
	const progress = createProgress(plan, screen);
	for (const planned of plan.slice(0, 2)) {
		progress.starting(planned);
		progress.finished(planned, planned.variant.id === 'one' ? 100_000 : 1000, OK);
	}
	t.regex(screen.text, /50 %, 2 of 4 blocks, 1 min 41 s left$/);
	const slow = plan.slice(2).find(({ variant }) => variant.id === 'one');
	t.truthy(slow);
	if (slow !== undefined) {
		progress.skipped(slow);
	}
	t.regex(screen.text, /75 %, 3 of 4 blocks, 1\.0 s left$/);
});

test('a narrow terminal gets no second line', (t) => {
	const experiment = fakeExperiment();
	const plan = planBlocks([{ experiment, variants: experiment.variants('smoke', []) }], 1);
	const screen = fakeScreen({ isTTY: true, columns: 20 });
	const progress = createProgress(plan, screen);
	for (const planned of plan.slice(0, 1)) {
		progress.starting(planned);
	}
	t.is(screen.text, '\r\x1b[Kfake: 0 %, 0 of 4 b');
});
