/** An experiment, a tracer and a screen without processes behind them. */
import type { Screen } from '../../../bench/runner/progress.ts';
import type { Mechanism, Experiment, Lab, Session, Variant } from '../../../bench/types.ts';
import { NOTHING_DONE, type Tracer } from '../../../native/index.ts';

export function fakeVariant(id: string, changes: Partial<Variant> = {}): Variant {
	return { id, factors: { mechanism: id }, rounds: 10, warmupRounds: 2, blockRounds: 5, ...changes };
}

export function fakeExperiment(
	changes: Partial<Experiment> = {}, session: () => Partial<Session> = () => ({})
): Experiment {
	return {
		name: 'fake',
		order: 1,
		title: 'Fake',
		question: 'Does the harness work?',
		metrics: { costNs: { title: 'Cost', unit: 'ns' }, calls: { title: 'Calls', unit: 'count' } },
		variants: () => [fakeVariant('one'), fakeVariant('two')],
		open: () => {
			let round = 0;
			return Promise.resolve({
				round: () => ({ costNs: 1000 + round++, calls: 4 }),
				close: () => Promise.resolve(),
				...session(),
			});
		},
		tables: (results) => [{
			name: 'table-fake',
			title: 'Fake',
			columns: [{ key: 'variant', title: 'variant' }, { key: 'median', title: 'median', unit: 'ns' }],
			rows: results.variants.map(({ id, summary }) =>
				({ variant: id, median: summary['costNs']?.median ?? null })),
			notes: [],
		}],
		charts: () => [],
		claims: () => [],
		...changes,
	};
}

export function fakeMechanism(changes: Partial<Mechanism> = {}): Mechanism {
	return {
		name: 'fake',
		title: 'Fake',
		description: 'nothing is copied',
		order: 1,
		duplicates: true,
		forked: false, keepsShared: false, allFlags: true, ofOneMoment: true,
		cooperative: false,
		notForEvidence: 'it is a fake',
		unavailable: () => null,
		open: (_tracer, target) => ({
			figures: { takeNs: 1, pauseNs: 1, calls: null },
			pid: target.pid,
			read: () => new Uint8Array(),
			end: () => ({ ...NOTHING_DONE, killNs: 1, reapNs: 1 }),
		}),
		...changes,
	};
}

export function fakeTracer(): Tracer & { closed: boolean } {
	const tracer = {
		notGot: [], closed: false, close: () => { tracer.closed = true; }, forgetLastCalls: () => undefined,
	};
	return tracer as unknown as Tracer & { closed: boolean };
}

export function fakeLab(): Lab {
	return { tracer: fakeTracer(), mechanisms: [fakeMechanism()], targetCpu: 0, targetPriority: 0, seed: 1 };
}

/** Keeps what is written to it. */
export function fakeScreen(changes: Partial<Screen> = {}): Screen & { text: string } {
	const screen = { text: '', write: (text: string) => { screen.text += text; }, ...changes };
	return screen;
}
