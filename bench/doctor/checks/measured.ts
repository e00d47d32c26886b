/** What was measured now. The limits follow from what is measured here: pauses of 0.1 to 10 ms, faults of 1 µs. */
import type { Gaps } from '../../targets/probes.ts';
import { asWanted, from, notAsWanted, percentText, timeText, unknown } from '../judging.ts';
import type { Check, Judged, Machine } from '../types.ts';

/** The largest gap, for worst cases: half of the paper's bound of 0.1 ms. */
const LARGEST_GAP_NS = 50_000;
/** Lost to gaps of more than 10 µs, of all time, on any CPU: for times and for ratios. */
const LOST_SHARE = { times: 0.002, ratios: 0.05 };
const CALL_NS = 1000;
const FAULT_NS = 2000;
/** A fresh page may cost so many times a used one, and so much more. */
const FRESH = { times: 2, moreNs: 500 };
const COPY_NS = 2000;
const WAKE_NS = 20_000;

const lost = ({ lostNs, spunNs }: Gaps): number => lostNs / Math.max(1, spunNs);

function gaps({ floors }: Machine): Judged {
	if ('why' in floors.gaps) return unknown(floors.gaps.why);
	const all = floors.gaps.value;
	const share = Math.max(...all.map(lost)), largest = Math.max(...all.map(({ largestNs }) => largestNs));
	const each = all.map((one) =>
		`CPU ${one.cpu} ${one.count} in ${timeText(one.spunNs)}, ${percentText(lost(one))}, the largest ` +
			timeText(one.largestNs));
	const shown = each.length > 8 ? [...each.slice(0, 8), `and ${each.length - 8} CPUs more (--json)`] : each;
	const others = all.every(({ fifo }) => fifo) ? '' : '; without SCHED_FIFO, so other processes are in it';
	const found = `over 10 µs: ${shown.join('; ')}${others}`;
	if (share > LOST_SHARE.ratios) return notAsWanted(found, { spoils: from('ratios') });
	if (share > LOST_SHARE.times) return notAsWanted(found, { spoils: from('times') });
	return largest > LARGEST_GAP_NS ? notAsWanted(found, { spoils: ['worst cases'] }) : asWanted(found);
}

function small(of: (floors: { callNs: number; copyNs: number }) => number, most: number): Check['judge'] {
	return ({ floors }) => {
		if ('why' in floors.small) return unknown(floors.small.why);
		const ns = of(floors.small.value);
		return (ns <= most ? asWanted : notAsWanted)(timeText(ns));
	};
}

function fault({ floors: { firstTouch } }: Machine): Judged {
	if ('why' in firstTouch) return unknown(firstTouch.why);
	const { againMeanNs, againMedianNs } = firstTouch.value;
	return (againMedianNs <= FAULT_NS ? asWanted : notAsWanted)(
		`median ${timeText(againMedianNs)}, mean ${timeText(againMeanNs)}`
	);
}

function fresh({ floors: { firstTouch } }: Machine): Judged {
	if ('why' in firstTouch) return unknown(firstTouch.why);
	const { freshMeanNs, againMeanNs, bytes } = firstTouch.value;
	const found = `mean ${timeText(freshMeanNs)} a page, touched again ${timeText(againMeanNs)} ` +
		`(${Math.round(bytes / 2 ** 20)} MiB)`;
	return freshMeanNs > FRESH.times * againMeanNs && freshMeanNs > againMeanNs + FRESH.moreNs
		? notAsWanted(found)
		: asWanted(found);
}

function wake({ floors }: Machine): Judged {
	if ('why' in floors.small) return unknown(floors.small.why);
	const { wakeNs } = floors.small.value;
	if (wakeNs === null) return unknown('there is one CPU');
	const { median, p99, largest, n } = wakeNs;
	const found = `median ${timeText(median)}, 99 % ${timeText(p99)}, the largest of ${n} ${timeText(largest)}`;
	return (median <= WAKE_NS ? asWanted : notAsWanted)(found);
}

export const measured: Check[] = [
	{
		name: 'gaps', title: 'Gaps', wanted: `at most ${percentText(LOST_SHARE.times)} lost (for ratios ` +
			`${percentText(LOST_SHARE.ratios)}), the largest ${timeText(LARGEST_GAP_NS)}`,
		why: 'a loop that reads the clock was kept from its CPU: by the hypervisor, the firmware, interrupts',
		change: 'a machine of its own; on bare metal: firmware without SMIs, isolated CPUs',
		spoils: from('times'), judge: gaps,
	},
	{
		name: 'call', title: 'A system call', wanted: `at most ${timeText(CALL_NS)}`,
		why: 'below it nothing can be measured; more means a sandbox, emulation or heavy mitigations',
		change: 'see virtualisation, mitigations', spoils: from('times'), judge: small(({ callNs }) => callNs, CALL_NS),
	},
	{
		name: 'fault', title: 'A minor fault of a used page', wanted: `at most ${timeText(FAULT_NS)}`,
		why: 'it is the floor of each copy-on-write', change: 'see virtualisation', spoils: from('times'), judge: fault,
	},
	{
		name: 'fresh-page', title: 'A minor fault of a fresh page',
		wanted: `at most ${FRESH.times} times that of a used one, or ${timeText(FRESH.moreNs)} more`,
		why: 'the hypervisor gives memory only when it is touched: that is measured with whatever touches it first',
		change: '`npm run bench` touches what it needs before it measures; outside: memory that is locked or ' +
			'allocated at start (QEMU: mem-prealloc)',
		spoils: from('times'), judge: fresh,
	},
	{
		name: 'copy', title: 'The copy of a page', wanted: `at most ${timeText(COPY_NS)}`,
		why: 'the floor of each copy of 4 KiB that no cache has',
		change: 'end what else uses the memory', spoils: from('times'),
		judge: small(({ copyNs }) => copyNs, COPY_NS),
	},
	{
		name: 'wake', title: 'A wake-up on another CPU', wanted: `at most ${timeText(WAKE_NS)} (median)`,
		why: 'requester, tracer and target wake each other: it is in each figure of theirs',
		change: 'see idle; in virtual machines: dedicated CPUs, halt polling', spoils: from('times'), judge: wake,
	},
];
