import test from 'ava';
import { allowedCpus, planIsolation } from '../../../bench/environments/isolation.ts';
import { neededBytes, warm } from '../../../bench/environments/warm.ts';
import { lookWith, type TakeLook } from '../../../bench/runner/look.ts';
import { planBlocks } from '../../../bench/runner/plan.ts';
import { createProgress } from '../../../bench/runner/progress.ts';
import { runPlan } from '../../../bench/runner/run.ts';
import { blocksTable, disturbedText, GAP_LIMIT_NS } from '../../../bench/stats/looks.ts';
import { parseSamples } from '../../../bench/store/samples.ts';
import type { Block, Experiment, Look } from '../../../bench/types.ts';
import { aBlock } from '../store/fixtures.ts';
import { fakeExperiment, fakeLab, fakeScreen, fakeVariant } from './fakes.ts';

const looking = (largestNs: number | null): Omit<Look, 'atMs'> => ({
	gaps: largestNs === null ? null : [0, 1].map((cpu) => ({
		cpu, spunNs: 1e8, count: 3, lostNs: cpu * 1e6, largestNs: cpu === 1 ? largestNs : 9000,
	})),
	cpus: 2, stealMs: 10, waitedUs: { cpu: 5, memory: 0, io: null }, load: 0.5, frequencyKHz: 3_000_000,
});

/** Gaps of the looks, in order; the last one goes on. */
async function run(gaps: Array<number | null>, experiment: Experiment = fakeExperiment()) {
	const plan = planBlocks([{ experiment, variants: experiment.variants('smoke', []) }], 1);
	const blocks: Block[] = [], interrupt = { requested: false };
	let looks = 0;
	const look: TakeLook = () => Promise.resolve(looking(gaps[Math.min(looks++, gaps.length - 1)] ?? null));
	const outcome = await runPlan({
		plan, lab: fakeLab(), write: (block) => blocks.push(block), progress: createProgress(plan, fakeScreen()),
		interrupt, look,
	});
	return { blocks, outcome, looks };
}

const over = GAP_LIMIT_NS + 1;
const repeats = (blocks: Block[]) => blocks.map((block) => block.repeats ?? null);

test('each block has what was seen before and after it; the look after one is that before the next', async (t) => {
	const { blocks, looks } = await run([20_000, 30_000, 40_000]);
	t.is(looks, blocks.length + 1);
	t.deepEqual(repeats(blocks), [null, null, null, null]);
	t.is(blocks[0]?.machine?.before.gaps?.[1]?.largestNs, 20_000);
	t.is(blocks[0]?.machine?.after.gaps?.[1]?.largestNs, 30_000);
	for (const [i, block] of blocks.slice(1).entries()) t.deepEqual(block.machine?.before, blocks[i]?.machine?.after);
	t.true(blocks.every(({ machine }) => machine!.before.atMs <= machine!.after.atMs));
});

test('a gap beyond the limit before or after a block: it is repeated once, and both are kept', async (t) => {
	const { blocks } = await run([over, 1, 1, 1, over, 1]);
	t.deepEqual(repeats(blocks), [null, 0, null, null, 3, null]);
	t.deepEqual(blocks.map(({ seq }) => seq), [0, 1, 2, 3, 4, 5]);
	t.is(blocks[1]?.variant, blocks[0]?.variant);
	t.is(blocks[4]?.variant, blocks[3]?.variant);
	t.true(blocks.every(({ samples }) => samples['costNs']?.length === 7));
	t.is(
		disturbedText(blocks),
		'2 blocks were repeated, for a gap of more than 3 ms before or after: 0, 3; of the repeats 0 had one ' +
			'after them again. Both count.'
	);
});

test('a machine that is never quiet: each block is repeated once and not again', async (t) => {
	const { blocks } = await run([over]);
	t.deepEqual(repeats(blocks), [null, 0, null, 2, null, 4, null, 6]);
	t.regex(disturbedText(blocks)!, /4 blocks .*: 0, 2, 4, 6; of the repeats 4 had one after them again/);
});

test('a gap at the limit, and a probe that failed, repeat nothing', async (t) => {
	t.deepEqual(repeats((await run([GAP_LIMIT_NS])).blocks), [null, null, null, null]);
	const { blocks } = await run([null]);
	t.deepEqual(repeats(blocks), [null, null, null, null]);
	t.is(disturbedText(blocks), null);
});

test('a failure in the block and in its repeat: both count; what failed is not repeated', async (t) => {
	let round = 0;
	const experiment = fakeExperiment({ variants: () => [fakeVariant('x', { rounds: 5 })] }, () => ({
		round: () => {
			if (++round % 7 === 3) throw new Error('torn');
			return { costNs: 1, calls: 1 };
		},
	}));
	const { blocks, outcome } = await run([over, 1], experiment);
	t.deepEqual(repeats(blocks), [null, 0]);
	t.is(outcome.failedRounds, 2);
	const failing = fakeExperiment(
		{ variants: () => [fakeVariant('x', { rounds: 5 })], open: () => Promise.reject(new Error('no')) }
	);
	t.deepEqual(repeats((await run([over], failing)).blocks), [null]);
});

test('looks are read back as they were written, and one that is not as it should be is named', async (t) => {
	const { blocks } = await run([over, 1]);
	const text = (all: unknown[]) =>
		['{"schemaVersion":1,"run":"r"}', ...all.map((each) => JSON.stringify(each)), ''].join('\n');
	t.deepEqual(parseSamples(text(blocks), 'samples.jsonl').blocks, blocks);
	const wrong = structuredClone(blocks);
	Object.assign(wrong[0]!.machine!.after, { gaps: 7 });
	t.throws(() => parseSamples(text(wrong), 'samples.jsonl'), { message: /:2: `machine.after.gaps` is a number/ });
});

test('the table has a line a block, and which repeats which; runs without looks have none', async (t) => {
	const { blocks } = await run([over, 1]);
	const { rows } = blocksTable(blocks)!;
	t.deepEqual(rows.map(({ again }) => again), ['as 1', 'of 0', '', '', '']);
	t.like(rows[0], { before: over / 1e3, after: 9, lost: 1, frequency: 3000, load: 0.5, steal: 0 });
	t.is(blocksTable([aBlock(0), aBlock(1)]), null);
});

test('a look at this machine sees the CPUs of target and requester', async (t) => {
	const { targetCpu, requesterCpu } = planIsolation();
	const { gaps, cpus, waitedUs } = await lookWith(requesterCpu)({ targetCpu, targetPriority: 0 });
	t.deepEqual(gaps?.map(({ cpu }) => cpu), allowedCpus().slice(0, 2));
	for (const { spunNs, lostNs } of gaps ?? []) t.true(spunNs >= 1e8 && lostNs <= spunNs);
	t.true(cpus >= 1);
	t.true(waitedUs.cpu === null || waitedUs.cpu >= 0);
});

test('memory is touched as far as the largest variant needs it, and as there is room for', async (t) => {
	const sized = (factors: Record<string, string | number>) => fakeVariant('x', { factors });
	t.is(neededBytes([sized({ rssMiB: 1024 }), sized({ sizeKiB: 64 }), sized({ target: 'bash' })]), 2 * 2 ** 30);
	t.is(neededBytes([]), 0);
	const { targetCpu } = planIsolation();
	const { warmed, neededBytes: needed, why } = await warm(2 ** 40, targetCpu, 32 << 20);
	t.is(why, null);
	t.is(needed, 2 ** 40);
	t.is(warmed?.bytes, 16 << 20);
	t.true(warmed!.freshMeanNs > 0 && warmed!.againMeanNs > 0);
});
