/**
 * A/A: does a run agree with itself? The blocks of each cell are parted into two halves, of the same thing measured
 * by the same code: at random, and into the earlier and the later ones. Where the halves' intervals do not even touch,
 * the intervals are too narrow (at random), or the machine changed underneath (in time). Sound intervals of 95 % are
 * apart in some 0.6 % of splits.
 */
import type { Results } from '../types.ts';
import { intervalOf, LEAST_BLOCKS, type Blocks } from './bootstrap.ts';
import { createRandom, shuffle } from './random.ts';

/** Of its splits of either kind; with more a run says itself that it is not fit. */
export const MOST_DISAGREEMENT = 0.1;
const SEED = 0x41412f41;

/** Splits of one kind, and how many of them had their halves apart. */
export interface Splits {
	made: number;
	apart: number;
}

export interface Agreement {
	atRandom: Splits;
	inTime: Splits;
	/** Cells whose earlier half is apart from the later one: `inject rss=4MiB: takeNs`. */
	drifted: string[];
	/** Cells that have too few blocks to be parted. */
	unparted: number;
}

/** Of all cells of one experiment or several: a variant and one quantity of it each. */
export function agreementOf(results: readonly Results[]): Agreement {
	const agreement: Agreement = {
		atRandom: { made: 0, apart: 0 }, inTime: { made: 0, apart: 0 }, drifted: [], unparted: 0,
	};
	const random = createRandom(SEED);
	for (const { id, blocks } of results.flatMap(({ variants }) => variants)) {
		for (const [metric, own] of Object.entries(blocks)) {
			const filled = own.filter((rounds) => rounds.length > 0);
			if (filled.length < 2 * LEAST_BLOCKS) {
				agreement.unparted += 1;
				continue;
			}
			count(agreement.atRandom, shuffle(filled, random));
			if (count(agreement.inTime, filled)) agreement.drifted.push(`${id}: ${metric}`);
		}
	}
	return agreement;
}

export const isUnfit = ({ atRandom, inTime }: Agreement): boolean => [atRandom, inTime]
	.some(({ made, apart }) => made > 0 && apart / made > MOST_DISAGREEMENT);

function count(splits: Splits, blocks: Blocks): boolean {
	const half = Math.floor(blocks.length / 2);
	const one = intervalOf(blocks.slice(0, half), 'median'), other = intervalOf(blocks.slice(half), 'median');
	const apart = one !== null && other !== null && (one.high < other.low || other.high < one.low);
	splits.made += 1;
	splits.apart += apart ? 1 : 0;
	return apart;
}
