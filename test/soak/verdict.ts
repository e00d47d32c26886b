/** What came out, for people and for programs. Pure. */
import { sum, totals, uncounted, type Tally } from './tally.ts';

export interface Verdict {
	seed: number;
	/** No takes were made. */
	control: boolean;
	startedAt: string;
	seconds: number;
	kernel: string;
	cpus: number;
	/** What ended it. */
	ended: string;
	/** What was not possible on this machine. */
	notHere: string[];
	tally: Tally;
	leftovers: string[];
}

/** Nothing was harmed, and nothing is left. */
export const isGood = ({ tally, leftovers }: Verdict): boolean => {
	const { harmed, dead } = totals(tally);
	return harmed === 0 && dead === 0 && leftovers.length === 0 && sum(tally.wrong) === 0;
};

const number = (value: number): string => value.toLocaleString('en-US');
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const counted = (counts: Record<string, number>): string =>
	Object.entries(counts).sort(([, a], [, b]) => b - a).map(([what, count]) => `${number(count)} ${what}`).join('; ');

export function summaryLine(verdict: Verdict): string {
	const { tried, taken, refused, unclean, harmed, dead } = totals(verdict.tally);
	return `${number(taken)} takes of ${number(tried)} tried, ${number(refused)} refused, ${number(unclean)} with a ` +
		`note at their end; ` +
		`${number(harmed)} harms, ${number(dead)} deaths, ${number(verdict.leftovers.length)} left over, ` +
			`${number(sum(verdict.tally.wrong))} wrong`;
}

export function toMarkdown(verdict: Verdict): string {
	const { tally, leftovers } = verdict;
	const kinds = Object.entries(tally.kinds);
	const list = (title: string, lines: string[]): string[] =>
		lines.length === 0 ? [] : ['', `## ${title}`, '', ...lines.map((line) => `- ${cell(line)}`)];
	return [
		`# ${verdict.control ? 'Control of the soak, without takes' : 'Soak'}: ` +
			(isGood(verdict) ? 'no target was harmed, and nothing is left' : 'FAILED'), '',
		`${summaryLine(verdict)}.`, '',
		`Started ${verdict.startedAt}, ${Math.round(verdict.seconds / 6) / 10} minutes, Linux ${verdict.kernel} on ` +
			`${verdict.cpus} CPUs, seed ${verdict.seed}. It ended because ${verdict.ended}.`, '',
		'| target | tried | taken | refused | harmed | dead | excused | turns |', '|---|--:|--:|--:|--:|--:|--:|--:|',
		...kinds.filter(([, kind]) => kind.unable === null).map(([name, kind]) =>
			`| ${cell(name)} | ${number(kind.tried)} | ${number(kind.taken)} | ${number(sum(kind.refused))} | ` +
				`${number(sum(kind.harmed) + uncounted(kind))} | ${number(sum(kind.dead))} | ` +
					`${number(kind.excused)} | ${number(kind.turns)} |`),
		'',
		'"Excused" are effects that a fault which was in force has by itself: a debugger ends blocked calls, and a ' +
			'freezer too.',
		...list('Harm, by kind', kinds.flatMap(([name, kind]) => [
			...Object.entries(kind.harmed).filter(([, count]) => count > 0)
				.map(([what, count]) => `${name}: ${number(count)} times "${what}"`),
			...(uncounted(kind) === 0
				? []
				: [
					`${name}: ${number(uncounted(kind))} times what docs/inject.md says may happen, but no take ` +
						`counted it`,
				]),
			...Object.entries(kind.dead).map(([how, count]) => `${name}: died ${number(count)} times, ${how}`),
		])),
		...list('What docs/inject.md says may happen, and the takes have counted', kinds.flatMap(([
			name, { documented, counted, countsLost },
		]) =>
			Object.entries(documented).filter(([, count]) => count > 0).map(([what, count]) =>
				`${name}: ${number(count)} times "${what}"; ${number(counted)} counted, and ${number(countsLost)} ` +
					`takes killed before they could report their counts`))),
		...list('Signals that were lost while strace was attached or let go, which loses some by itself (rivals.jsonl)',
			kinds.flatMap(([name, { lostWithRival }]) =>
				lostWithRival === 0 ? [] : [`${name}: ${number(lostWithRival)} times`])),
		...list('Left over', leftovers),
		...list('Wrong', Object.entries(tally.wrong).map(([what, count]) => `${number(count)} times ${what}`)),
		...list(
			'First harms, and what had been done before',
			kinds.flatMap(([name, { first }]) =>
				first.map(({ atSeconds, what, before }) =>
					`${name} at ${atSeconds} s: ${what}; before: ${before.join(', ')}`))
		),
		...list(
			'Mechanisms',
			Object.entries(tally.mechanisms)
				.map(([name, { tried, taken, refused }]) =>
					`${name}: ${number(taken)} of ${number(tried)}` +
						(sum(refused) === 0 ? '' : `; refused: ${counted(refused)}`))
		),
		...list('Faults', Object.entries(tally.faults).map(([name, count]) => `${number(count)} times ${name}`)),
		...list(
			'Refused, by kind',
			kinds.filter(([, { refused }]) => sum(refused) > 0)
				.map(([name, { refused }]) => `${name}: ${counted(refused)}`)
		),
		...list(
			'Notes at the end of a take',
			kinds.filter(([, { unclean }]) => sum(unclean) > 0)
				.map(([name, { unclean }]) => `${name}: ${counted(unclean)}`)
		),
		...list(
			'Not on this machine',
			[
				...verdict.notHere,
				...kinds.filter(([, { unable }]) => unable !== null).map(([name, { unable }]) => `${name}: ${unable}`),
			]
		),
		'',
	].join('\n');
}
