import test from 'ava';
import { planBlocks } from '../../../bench/runner/plan.ts';
import { createProgress } from '../../../bench/runner/progress.ts';
import { runPlan } from '../../../bench/runner/run.ts';
import type { Block, Experiment } from '../../../bench/types.ts';
import { fakeExperiment, fakeLab, fakeScreen, fakeVariant } from './fakes.ts';

async function run(experiment: Experiment, interrupt = { requested: false }) {
	const plan = planBlocks([{ experiment, variants: experiment.variants('smoke', []) }], 1);
	const screen = fakeScreen();
	const blocks: Block[] = [];
	const outcome = await runPlan({
		plan, lab: fakeLab(), write: (block) => blocks.push(block), progress: createProgress(plan, screen), interrupt,
	});
	return { outcome, blocks, screen };
}

test('warm-ups and rounds are kept in order, block by block', async (t) => {
	const { outcome, blocks } = await run(fakeExperiment({}, () => {
		const values = [5, 1, 4, 2, 3, 9, 7];
		return { round: () => ({ costNs: values.shift() ?? 0, calls: 4 }), facts: () => ({ size: 12 }) };
	}));
	t.deepEqual(outcome, { status: 'complete', failedRounds: 0, failedBlocks: 0, dropped: [] });
	t.deepEqual(blocks.map(({ seq }) => seq), [0, 1, 2, 3]);
	for (const block of blocks) {
		t.is(block.status, 'ok');
		t.is(block.warmupRounds, 2);
		t.deepEqual(block.samples, { costNs: [5, 1, 4, 2, 3, 9, 7], calls: [4, 4, 4, 4, 4, 4, 4] });
		t.deepEqual(block.facts, { size: 12 });
		t.deepEqual(block.failures, []);
	}
	t.deepEqual(
		blocks.map(({ startedMs }) => startedMs), blocks.map(({ startedMs }) => startedMs).sort((a, b) => a - b)
	);
});

test('the function is called as often as there are rounds: tinybench adds none', async (t) => {
	let calls = 0;
	await run(fakeExperiment(
		{ variants: () => [fakeVariant('x', { rounds: 5 })] }, () => ({ round: () => ({ costNs: calls++, calls: 1 }) })
	));
	t.is(calls, 7);
});

test('a round without a number is null, and so is one that failed', async (t) => {
	let round = 0;
	const { outcome, blocks } = await run(fakeExperiment({
		variants: () => [fakeVariant('x', { rounds: 3, warmupRounds: 0 })],
	}, () => ({
		round: () => {
			if (++round === 2) {
				throw new Error('the target was busy');
			}
			return { costNs: round === 1 ? Number.NaN : 8, calls: 1 };
		},
	})));
	t.deepEqual(blocks[0]?.samples, { costNs: [null, null, 8], calls: [1, null, 1] });
	t.deepEqual(blocks[0]?.failures, [{ round: 1, message: 'the target was busy' }]);
	t.is(blocks[0]?.status, 'ok');
	t.is(outcome.failedRounds, 1);
});

test('a block whose rounds all fail is given up, closed and the run goes on', async (t) => {
	let closed = 0;
	const { outcome, blocks } = await run(fakeExperiment({
		open: (variant) => Promise.resolve({
			round: () => {
				if (variant.id === 'one') {
					throw new Error('the target is gone');
				}
				return { costNs: 1, calls: 1 };
			},
			close: () => {
				closed += 1;
				return Promise.resolve();
			},
		}),
	}));
	const failed = blocks.filter(({ variant }) => variant === 'one');
	t.deepEqual(failed.map(({ status }) => status), ['failed', 'failed']);
	t.is(failed[0]?.failures.length, 3);
	t.regex(failed[0]?.error ?? '', /after 3 of 7 rounds: the target is gone/);
	t.deepEqual(blocks.filter(({ variant }) => variant === 'two').map(({ status }) => status), ['ok', 'ok']);
	t.is(closed, 4);
	t.is(outcome.failedBlocks, 2);
	t.is(outcome.status, 'complete');
});

test('a variant that cannot be set up twice is dropped with its reason', async (t) => {
	let attempts = 0;
	const { outcome, blocks, screen } = await run(fakeExperiment({
		variants: () => [fakeVariant('x', { rounds: 50 })],
		open: () => {
			attempts += 1;
			return Promise.reject(new Error('no such workload'));
		},
	}));
	t.is(attempts, 2);
	t.deepEqual(
		blocks.map(({ status, error }) => [status, error]),
		[['failed', 'cannot be set up: no such workload'], ['failed', 'cannot be set up: no such workload']]
	);
	t.deepEqual(outcome.dropped, [{ experiment: 'fake', variant: 'x', reason: 'cannot be set up: no such workload' }]);
	t.regex(screen.text, /fake: x: given up: cannot be set up: no such workload/);
});

test('a metric that was not declared is a failure, not a silent loss', async (t) => {
	const { blocks } = await run(fakeExperiment({}, () => ({ round: () => ({ costNs: 1, surprise: 2 }) })));
	t.is(blocks[0]?.status, 'failed');
	t.regex(blocks[0]?.error ?? '', /surprise/);
});

test('what fails at the end of a block is told, and its samples are kept', async (t) => {
	const { blocks } = await run(fakeExperiment({}, () => ({ close: () => Promise.reject(new Error('stuck')) })));
	t.is(blocks[0]?.status, 'failed');
	t.is(blocks[0]?.error, 'cannot be ended: stuck');
	t.is(blocks[0]?.samples['costNs']?.length, 7);
});

test('after an interrupt the round is finished, the block kept as interrupted and nothing begun', async (t) => {
	const interrupt = { requested: false };
	let closed = 0;
	const { outcome, blocks } = await run(fakeExperiment({}, () => {
		let round = 0;
		return {
			round: () => {
				interrupt.requested = ++round === 4;
				return { costNs: round, calls: 1 };
			},
			close: () => {
				closed += 1;
				return Promise.resolve();
			},
		};
	}), interrupt);
	t.is(outcome.status, 'interrupted');
	t.is(blocks.length, 1);
	t.is(blocks[0]?.status, 'interrupted');
	t.deepEqual(blocks[0]?.samples['costNs'], [1, 2, 3, 4]);
	t.is(closed, 1);
	t.is(outcome.failedBlocks, 0);
});

test('a round that fails because Ctrl-C ended the target too is no failure', async (t) => {
	const interrupt = { requested: false };
	let round = 0;
	const { outcome, blocks } = await run(fakeExperiment({}, () => ({
		round: () => {
			if (++round === 3) {
				setImmediate(() => { interrupt.requested = true; });
				throw new Error('the target is gone');
			}
			return { costNs: round, calls: 1 };
		},
	})), interrupt);
	t.is(blocks[0]?.status, 'interrupted');
	t.deepEqual(blocks[0]?.failures, []);
	t.deepEqual(blocks[0]?.samples['costNs'], [1, 2]);
	t.is(outcome.failedRounds, 0);
});

test('the event loop gets its turn within half a second in a long block', async (t) => {
	const interrupt = { requested: false };
	setTimeout(() => { interrupt.requested = true; }, 50);
	const { blocks } = await run(fakeExperiment({
		variants: () => [fakeVariant('x', { rounds: 10_000, blockRounds: 10_000 })],
	}, () => ({
		round: () => {
			const start = performance.now();
			while (performance.now() - start < 5) { /* a round takes 5 ms */ }
			return { costNs: 5e6, calls: 1 };
		},
	})), interrupt);
	t.is(blocks[0]?.status, 'interrupted');
	const rounds = blocks[0]?.samples['costNs']?.length ?? 0;
	t.true(rounds > 0 && rounds <= 110, `${rounds} rounds of 5 ms`);
});
