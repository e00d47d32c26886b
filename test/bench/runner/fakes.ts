/** An experiment, a tracer and a screen without processes behind them. */
import type { Screen } from '../../../bench/runner/progress.ts';
import type { Backend, Experiment, Lab, Session, Variant } from '../../../bench/types.ts';
import type { Tracer } from '../../../native/index.ts';

export function fakeVariant(id: string, changes: Partial<Variant> = {}): Variant {
	return { id, factors: { mechanism: id }, rounds: 10, warmupRounds: 2, blockRounds: 5, ...changes };
}

export function fakeExperiment(changes: Partial<Experiment> = {}, session: () => Partial<Session> = () => ({})): Experiment {
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
			rows: results.variants.map(({ id, summary }) => ({ variant: id, median: summary['costNs']?.median ?? null })),
			notes: [],
		}],
		charts: () => [],
		claims: () => [],
		...changes,
	};
}

export function fakeBackend(changes: Partial<Backend> = {}): Backend {
	return {
		name: 'fake',
		title: 'Fake',
		order: 1,
		duplicates: true,
		cooperative: false,
		unavailable: () => null,
		take: (_tracer, target) => ({ pid: target.pid, takeNs: 1, pauseNs: 1, read: () => new Uint8Array(), end: () => ({ killNs: 1, reapNs: 1 }) }),
		...changes,
	};
}

export function fakeTracer(): Tracer & { closed: boolean } {
	const tracer = { notGot: [], closed: false, close: () => { tracer.closed = true; } };
	return tracer as unknown as Tracer & { closed: boolean };
}

export function fakeLab(): Lab {
	return { tracer: fakeTracer(), backends: [fakeBackend()], targetCpu: 0, targetPriority: 0, seed: 1 };
}

/** Keeps what is written to it. */
export function fakeScreen(changes: Partial<Screen> = {}): Screen & { text: string } {
	const screen = { text: '', write: (text: string) => { screen.text += text; }, ...changes };
	return screen;
}
