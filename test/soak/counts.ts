/** What takes have counted of the effects that docs/inject.md names, and whose counts are lost. Pure. */
import type { CallCount } from '../../native/index.ts';
import type { Documented } from './kinds.ts';
import type { Report } from './taker.ts';

/** What `calls` have of the effects that are documented for one target. */
export const documentedIn = (calls: readonly CallCount[], documented: Documented | null | undefined): number =>
	(documented == null ? 0 : calls.find(({ call }) => call === documented.call)?.[documented.countedAs] ?? 0);

/** Of one take: what each of its requests that stop the target has counted, whether it was refused or not. */
export class TakeCounts {
	readonly #lastCalls: () => readonly CallCount[];
	readonly #documented: Documented | null;
	/** null: the tracer was killed, and with it its counts. */
	counted: number | null = 0;

	constructor(lastCalls: () => readonly CallCount[], documented: Documented | null) {
		this.#lastCalls = lastCalls;
		this.#documented = documented;
	}

	/** Once for each request: what fails beside one has stopped nobody. */
	during<T>(request: () => T): T {
		try {
			return request();
		} finally {
			if (this.counted !== null) this.counted += documentedIn(this.#lastCalls(), this.#documented);
		}
	}

	lose(): void {
		this.counted = null;
	}
}

/**
 * Whose are the counts that a tracer tells of all its targets together. `taken`: those that it was asked for, the last
 * one last. Of several that document the same effect it is the last one's: counted for each, it would excuse harms.
 */
export function creditUntold(
	calls: readonly CallCount[], taken: readonly number[], documented: ReadonlyArray<Documented | null>
): Array<{ target: number; counted: number }> {
	const given = new Set<string>();
	return [...new Set(taken.toReversed())].flatMap((target) => {
		const effect = documented[target], counted = documentedIn(calls, effect);
		const name = `${effect?.call} ${effect?.countedAs}`;
		if (counted === 0 || given.has(name)) return [];
		given.add(name);
		return [{ target, counted }];
	});
}

/** Of one requester: whose counts are lost with it, or with its tracer. */
export class AtRisk {
	#begun: number | undefined;
	/** Their duplicates were not buried, or a thread may come late: the tracer may stop them again, and tell later. */
	readonly #untold = new Set<number>();

	/** Gives the targets whose counts are lost. */
	saw(report: Report): number[] {
		if (report.kind === 'begun') this.#begun = report.target;
		else if (report.kind === 'left') this.#untold.clear();
		else if (report.kind === 'take') {
			this.#begun = undefined;
			if (report.counted === null) return [report.target, ...this.#take()];
			if (report.untold) this.#untold.add(report.target);
			// Such an end tells what has been done to this target before, too.
			else if (report.mechanism === 'inject') this.#untold.delete(report.target);
		}
		return [];
	}

	/** The requester has ended, by itself or killed. */
	ended(): number[] {
		return [...this.#begun === undefined ? [] : [this.#begun], ...this.#take()];
	}

	#take(): number[] {
		const all = [...this.#untold];
		this.#untold.clear();
		return all;
	}
}
