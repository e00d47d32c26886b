/** What the phases of a block's copies were, as facts: their names are each mechanism's own. Pure. */
import type { Json, Phase, Results, VariantResult } from '../../types.ts';
import type { Lateness } from './periods.ts';

/** The way by which no copy is made. */
export const NOTHING = 'nothing done';

/** A phase in all rounds of a block, or of several; arrays have a number for each round that had it. */
export interface PhaseFigures {
	name: string;
	/** All threads stand still in it. */
	stopped: boolean;
	/** All times in it together, in a round. */
	lengthNs: number[];
	/** The longest of them. */
	longestNs: number[];
	/** Of steps that hold the lock of the target's mappings the longest; none: not known. */
	longestStepNs: number[];
	/** By which the latest period was late; none: there was no period in it. */
	lateNs: number[];
	controlLateNs: number[];
	periods: number;
	late: number;
	controlPeriods: number;
	controlLate: number;
}

/** What one round says. */
interface Round { phases: Phase[]; during: Lateness[]; control: Lateness[] }

const KEY = 'phases ';

export class PhaseLog {
	readonly #figures = new Map<string, PhaseFigures>();
	readonly #refusals = new Set<string>();
	/** Facts of several blocks are merged by name. */
	readonly #key = `${KEY}${Date.now()}-${process.hrtime.bigint()}`;
	#warmups: number;

	/** The first rounds are warm-ups. */
	constructor(warmupRounds: number) {
		this.#warmups = warmupRounds;
	}

	add({ phases, during, control }: Round): void {
		if (this.#warmups-- > 0) return;
		for (const name of new Set(phases.map((phase) => phase.name))) {
			const own = phases.map((phase, i) => ({ phase, during: during[i], control: control[i] }))
				.filter(({ phase }) => phase.name === name);
			const figures = this.#figureOf(name, own.some(({ phase }) => phase.stopped));
			const lengths = own.map(({ phase }) => phase.endNs - phase.startNs);
			figures.lengthNs.push(lengths.reduce((sum, ns) => sum + ns, 0));
			figures.longestNs.push(Math.max(...lengths));
			push(figures.longestStepNs, own.flatMap(({ phase }) => phase.longestStepNs ?? []));
			push(figures.lateNs, own.flatMap((each) => each.during?.worstNs ?? []));
			push(figures.controlLateNs, own.flatMap((each) => each.control?.worstNs ?? []));
			for (const each of own) {
				figures.periods += each.during?.periods ?? 0;
				figures.late += each.during?.late ?? 0;
				figures.controlPeriods += each.control?.periods ?? 0;
				figures.controlLate += each.control?.late ?? 0;
			}
		}
	}

	/** A copy that was not made: why. */
	refuse(why: string): void {
		this.#warmups--;
		this.#refusals.add(why.replaceAll(/process \d+/g, 'the target'));
	}

	#figureOf(name: string, stopped: boolean): PhaseFigures {
		const figures = this.#figures.get(name) ?? {
			name, stopped, lengthNs: [], longestNs: [], longestStepNs: [], lateNs: [], controlLateNs: [], periods: 0,
			late: 0, controlPeriods: 0, controlLate: 0,
		};
		this.#figures.set(name, figures);
		return figures;
	}

	facts(): Record<string, Json> {
		return {
			[this.#key]: [...this.#figures.values()] as unknown as Json,
			...(this.#refusals.size === 0 ? {} : { refusal: [...this.#refusals].join('; ') }),
		};
	}
}

/** The largest, if there is one. */
function push(to: number[], values: number[]): void {
	if (values.length > 0) to.push(Math.max(...values));
}

/** Of all blocks of a variant together, in the order in which phases first came. */
export function phasesOf({ facts }: VariantResult): PhaseFigures[] {
	const all = new Map<string, PhaseFigures>();
	for (const [key, value] of Object.entries(facts)) {
		if (!key.startsWith(KEY)) continue;
		for (const part of value as unknown as PhaseFigures[]) {
			const sum = all.get(part.name);
			all.set(part.name, sum === undefined ? part : {
				name: part.name, stopped: part.stopped,
				lengthNs: [...sum.lengthNs, ...part.lengthNs], longestNs: [...sum.longestNs, ...part.longestNs],
				longestStepNs: [...sum.longestStepNs, ...part.longestStepNs], lateNs: [...sum.lateNs, ...part.lateNs],
				controlLateNs: [...sum.controlLateNs, ...part.controlLateNs], periods: sum.periods + part.periods,
				late: sum.late + part.late, controlPeriods: sum.controlPeriods + part.controlPeriods,
				controlLate: sum.controlLate + part.controlLate,
			});
		}
	}
	return [...all.values()];
}

/** Does it stop its target more than once, and go on in between? */
export const isInPhases = (variant: VariantResult): boolean =>
	phasesOf(variant).filter(({ stopped }) => stopped).length > 1;

export const refusalOf = ({ facts }: VariantResult): string | null =>
	(typeof facts['refusal'] === 'string' ? facts['refusal'] : null);

/** Ways, in the order of the plan. */
export const waysOf = (results: Results): string[] =>
	[...new Set(results.variants.map(({ factors }) => String(factors['way'])))];
