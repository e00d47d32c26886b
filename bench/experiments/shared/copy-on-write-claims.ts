/** The claims of section 5.5, each beside what passes without a duplicate say. Pure. */
import type { Claim, Paper, Results, VariantResult } from '../../types.ts';
import { byLongestPage, delay, meanDelay, rangeOf } from './copy-on-write-delays.ts';
import { isFloor, MS, time, timeWithin } from './figures.ts';
import { every, isAbove, isAtMost, type Verdict } from './judging.ts';

/** The paper's bound for regions of up to 256 KiB, on the mean and at most. */
const SMALL_MS = 0.1;
const SMALL_KIB = [16, 64, 256];

/** A longest delay tells something only where passes without a duplicate stay within the bound themselves. */
function longestAtMost(variant: VariantResult | undefined, limitNs: number): Verdict {
	const longest = delay(variant, 'max'), control = delay(variant, 'max', 'withoutNs');
	if (longest === null || control === null) return { holds: null };
	if (longest <= limitNs) return { holds: true };
	return control <= limitNs ? { holds: false } : {
		holds: null,
		undecided: `passes without a duplicate are up to ${time(control)} longer than their mean themselves: a machine ` +
			'without such pauses would decide it',
	};
}

export function claims(results: Results, { table9, controlBudget, largestRegionWithinBudget }: Paper): Claim[] {
	const budgetNs = controlBudget.minMs * MS;
	const row = (sizeKiB: number) => table9.rows.find((one) => one.sizeKiB === sizeKiB);
	return results.mechanisms.filter((mechanism) => !isFloor({ factors: { mechanism } })).flatMap((mechanism) => {
		const at = (sizeKiB: number) => results.where({ mechanism, sizeKiB })[0];
		const regions = byLongestPage(results, mechanism, budgetNs, 'withNs');
		const control = byLongestPage(results, mechanism, budgetNs, 'withoutNs');
		const own = { where: '5.5, table 9, figure 4', byTime: true as const };
		return [{
			...own,
			claim: `Updating 16, 64 and 256 KiB is delayed by at most ${SMALL_MS} ms on the mean (${mechanism})`,
			paper: SMALL_KIB.map((size) => `${row(size)?.delayMeanMs} ms`).join(', '),
			here: SMALL_KIB.map((size) => `${size} KiB: ${timeWithin(meanDelay(at(size)))}`).join('; '),
			...every(SMALL_KIB.map((size) => isAtMost(meanDelay(at(size)), SMALL_MS * MS))),
		}, {
			...own,
			claim: `and by at most ${SMALL_MS} ms at the longest (${mechanism})`,
			paper: SMALL_KIB.map((size) => `${row(size)?.delayMaxMs} ms`).join(', '),
			here: SMALL_KIB.map((size) => longestText(size, at(size))).join('; '),
			...every(SMALL_KIB.map((size) => longestAtMost(at(size), SMALL_MS * MS))),
		}, {
			...own,
			claim: `Updating 1,024 KiB is delayed by more than ${controlBudget.minMs} ms on the mean (${mechanism})`,
			paper: `${row(1024)?.delayMeanMs} ms`,
			here: timeWithin(meanDelay(at(1024))),
			...isAbove(meanDelay(at(1024)), budgetNs),
		}, {
			...own, where: '5.5',
			claim: `By the longest delay a page, regions of ${largestRegionWithinBudget.fromKiB} KiB and more are updated ` +
				`within ${controlBudget.minMs} ms (${mechanism})`,
			paper: `${largestRegionWithinBudget.fromKiB} to ${largestRegionWithinBudget.toKiB} KiB`,
			here: regions === null
				? 'not measured'
				: `${rangeOf(regions)} KiB; passes without a duplicate: ${rangeOf(control) ?? 'no such delay'}`,
			...isWithin(regions, control, largestRegionWithinBudget.fromKiB),
		}];
	});
}

const longestText = (sizeKiB: number, variant: VariantResult | undefined): string => {
	const longest = delay(variant, 'max'), control = delay(variant, 'max', 'withoutNs');
	return longest === null || control === null
		? `${sizeKiB} KiB: not measured`
		: `${sizeKiB} KiB: ${time(longest)}, without a duplicate ${time(control)}`;
};

function isWithin(regions: [number, number] | null, control: [number, number] | null, leastKiB: number): Verdict {
	if (regions === null) return { holds: null };
	if (regions[0] >= leastKiB) return { holds: true };
	return control === null || control[0] >= leastKiB ? { holds: false } : {
		holds: null,
		undecided: 'passes without a duplicate are as late by themselves: a machine without such pauses would ' +
			'decide it',
	};
}
