/** What of evidence is told to people in the same words in several places. Pure. */
import { bytesText } from '../common/format.ts';
import type { Manifest } from './evidence/manifest.ts';

/** One for each kind of call that a stop cut. */
export const cutTexts = (calls: ReadonlyArray<{ call: string; cut: number }>): string[] =>
	calls.filter(({ cut }) => cut > 0)
	.map(({ call, cut }) =>
		`${cut} call${cut === 1 ? '' : 's'} of ${call} returned early to the target, and could not be put back`);

/** Of calls with a timeout, of which a stop could not tell how much was left. */
export const lengthenedTexts = (timeouts: number | null): string[] => (timeouts === null || timeouts === 0 ? [] :
	[`${timeouts} timeout${timeouts === 1 ? '' : 's'} of the target may have begun anew`]);

/** Of evidence of which a part is missing, since the duplicate was ended before all of it was read. */
export const partialText = ({ missingBytes, reason }: { missingBytes: number; reason: string }): string =>
	`partial: ${bytesText(missingBytes)} of the duplicate were not read: ${reason}`;

export const lackingText = (bytes: number): string =>
	`in part: ${bytesText(bytes)} of the target's memory were to be read and could not be; the manifest names them`;

/** One where there is something: parts of memory that is of the moment else. */
export function takenBackTexts(regions: Manifest['regions']): string[] {
	const parts = regions.flatMap(({ takenBack = [] }) => takenBack);
	const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
	return bytes === 0 ? [] : [
		`${bytesText(bytes)} of frozen regions are later than the moment: huge pages that the target had taken back from ` +
			`the duplicate, and that were read from it; the manifest names them (takenBack)`,
	];
}

/** Of what it is, so that it is not taken for other evidence. */
export function identityText({ target, collector, ...manifest }: Manifest, id: string): string {
	const program = target.program === '' ? '' : `, ${target.program}`;
	return `process ${target.pid} (${target.command}${program}) on ${collector.host}, ${whenText(manifest)}, id ${id}`;
}

/** `as of` its moment; or from when to when it was read, and that it is of none. */
export function whenText(
	{ before, momentNs, notOfOneMoment }: Pick<Manifest, 'before' | 'momentNs' | 'notOfOneMoment'>
): string {
	return notOfOneMoment === undefined
		? `as of ${momentOf({ before, momentNs })}`
		: `read as it ran, NOT of one moment, from ${momentOf({ before, momentNs })} to ` +
			momentOf({ before, momentNs: notOfOneMoment.endedNs });
}

/** Of what is not of one moment, what that means for whoever reads it; none of what is. */
export function noMomentTexts({ notOfOneMoment }: Pick<Manifest, 'notOfOneMoment'>): string[] {
	if (notOfOneMoment === undefined) return [];
	const { appeared, gone } = notOfOneMoment;
	const count = (found: readonly unknown[]): string => `${found.length} region${found.length === 1 ? '' : 's'}`;
	return [
		'NOT OF ONE MOMENT: the process ran while it was read, each region at a time of its own; what belongs ' +
			'together may not fit together, and no registers were read',
		appeared === null || gone === null
			? 'what came and went meanwhile is not known: the process had ended'
			: `meanwhile ${count(appeared)} came, which were not read, and ${count(gone)} went, or parts of such`,
	];
}

/** To be written down beside the evidence. */
export const idText = (id: string): string =>
	`id ${id}: note it elsewhere; with verify --expect ${id} no other folder passes for this one`;

/** ISO 8601, UTC, to the millisecond: the moment that private memory is of, by the collector's wall clock. */
export function momentOf({ before, momentNs }: Pick<Manifest, 'before' | 'momentNs'>): string {
	const moment = new Date(Date.parse(before.wallClock) + (momentNs - before.monotonicNs) / 1e6);
	return Number.isNaN(moment.getTime()) ? 'a time that no clock shows' : moment.toISOString();
}
