/** What every experiment must do: one contract over all files of bench/experiments/. */
import test from 'ava';
import { discoverExperiments } from '../../../bench/discover.ts';
import { ofOneMoment } from '../../../mechanisms/shared/all.ts';
import { slownessOf } from '../../../bench/environments/emulated.ts';
import { describeHere } from '../../../bench/environments/here.ts';
import { planIsolation } from '../../../bench/environments/isolation.ts';
import { chartToSvg } from '../../../bench/report/chart.ts';
import { tableToCsv } from '../../../bench/report/csv.ts';
import { collect } from '../../../bench/stats/results.ts';
import { readPaper } from '../../../bench/store/paper.ts';
import type { Block, Experiment, Lab, Results, Variant } from '../../../bench/types.ts';
import { Tracer } from '../../../native/index.ts';
import { testUnless } from '../../unless.ts';

const mechanisms = ofOneMoment().filter((mechanism) => mechanism.unavailable() === null);
const paper = readPaper();
const here = describeHere().environment;

/** A variant of each kind: the first with each mechanism and target. */
function oneOfEachKind(variants: Variant[]): Variant[] {
	const kinds = new Map(variants.map((variant): [string, Variant] =>
		[[variant.factors.mechanism, variant.factors.target, variant.factors.way].join(' '), variant]).reverse());
	return [...kinds.values()];
}

async function measureOnce(experiment: Experiment, variant: Variant, lab: Lab, seq: number): Promise<Block> {
	const session = await experiment.open(variant, lab);
	try {
		const rounds = [session.round(), session.round()];
		const samples = Object.fromEntries(Object.keys(experiment.metrics)
			.map((name) =>
				[name, rounds.map((sample) => (Number.isFinite(sample[name]) ? sample[name] as number : null))]));
		for (const name of rounds.flatMap((sample) => Object.keys(sample))) {
			if (!(name in experiment.metrics)) throw new Error(`${variant.id}: ${name} is no metric of the experiment`);
		}
		return {
			seq, experiment: experiment.name, variant: variant.id, factors: variant.factors, status: 'ok', startedMs: 0,
			warmupRounds: 0, samples, failures: [], facts: session.facts?.() ?? {},
		};
	} finally {
		await session.close();
	}
}

async function checkReport(experiment: Experiment, results: Results): Promise<string[]> {
	const tables = experiment.tables(results, paper);
	for (const table of tables) {
		const keys = table.columns.map(({ key }) => key);
		for (const row of table.rows) for (const key of Object.keys(row)) if (!keys.includes(key))
			throw new Error(`${table.name}: ${key} is in no column`);
		tableToCsv(table);
	}
	const charts = experiment.charts(results, paper);
	for (const chart of charts) await chartToSvg(chart);
	experiment.claims(results, paper);
	return [
		...tables.map(({ name }) => `table ${name}`),
		...[...charts, ...experiment.listings?.(results) ?? []].map(({ name }) => `chart ${name}`),
	];
}

for (const experiment of await discoverExperiments()) {
	test(`${experiment.name}: its plan is sound in both profiles`, (t) => {
		for (const profile of ['smoke', 'paper'] as const) {
			const variants = experiment.variants(profile, mechanisms);
			t.true(variants.length > 0);
			t.is(new Set(variants.map(({ id }) => id)).size, variants.length, 'two variants of one name');
			for (const { rounds, blockRounds, warmupRounds, id } of variants) {
				t.true(
					[rounds, blockRounds, warmupRounds].every(Number.isInteger) && rounds > 0 && blockRounds > 0 &&
						warmupRounds >= 0,
					id
				);
			}
		}
		t.deepEqual(
			experiment.variants('paper', []).filter(({ factors }) => factors.mechanism !== 'none'), [],
			'variants of mechanisms that are not there'
		);
	});

	const leftOut = experiment.onDevices === true && here.label === 'emulated'
		? 'it measures devices, and they are emulated here'
		: null;
	testUnless(leftOut)(`${experiment.name}: every kind of variant is measured, and reported`, async (t) => {
		const tracer = Tracer.start();
		const lab: Lab = {
			tracer, mechanisms, targetCpu: planIsolation().targetCpu, targetPriority: 0,
			slowness: slownessOf(here.label), seed: 1,
		};
		const blocks: Block[] = [];
		for (const variant of oneOfEachKind(experiment.variants('smoke', mechanisms))) {
			blocks.push(await measureOnce(experiment, variant, lab, blocks.length));
		}
		tracer.close();
		for (const { variant, samples } of blocks)
			t.true(
				Object.values(samples).some((values) => values.every((value) => value !== null)),
				`${variant} gave no number`
			);
		const names = await checkReport(experiment, collect(blocks));
		t.is(new Set(names).size, names.length, 'two outputs of one name');
	});

	test(`${experiment.name}: a run without samples has empty cells, and no claim that holds`, async (t) => {
		const nothing = collect([]);
		await checkReport(experiment, nothing);
		t.deepEqual(experiment.claims(nothing, paper).filter(({ holds }) => holds !== null), []);
	});
}
