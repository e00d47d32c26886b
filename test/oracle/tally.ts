/** What takers report, added up. Pure. */
import { messageOf } from '../../common/errors.ts';
import { add, sum } from '../soak/tally.ts';

export interface OracleTakerOptions {
	seed: number;
	mechanisms: readonly string[];
	/** Of every image something is left out or changed, so that it must be wrong. */
	control: boolean;
}

/** What an image is checked against, or with, where it must be wrong. */
export const CONTROLS = ['one write too many is expected', 'memory is read while the target runs'] as const;

export interface OracleTally {
	images: Record<string, number>;
	pages: number;
	refused: Record<string, number>;
	/** Of a control: wrong images, as they must be; by the control's name. */
	seen: Record<string, number>;
}

export interface WrongImage {
	what: string;
	seed: number;
	mechanism: string;
	threads: number;
	coldPages: number;
	firstSeed: number;
	/** Images of this target before it. */
	image: number;
	address?: string;
	/** The page, in hexadecimal. */
	expected?: string;
	found?: string;
}

export type OracleReport =
	/** Since the last one. */
	| { kind: 'taken'; tally: OracleTally }
	| { kind: 'wrong'; wrong: WrongImage }
	| { kind: 'failed'; what: string };

export const emptyTally = (): OracleTally => ({ images: {}, pages: 0, refused: {}, seen: {} });

export function addTally(to: OracleTally, more: OracleTally): void {
	to.pages += more.pages;
	for (const part of ['images', 'refused', 'seen'] as const)
		for (const [name, count] of Object.entries(more[part])) add(to[part], name, count);
}

export interface OracleVerdict {
	seed: number;
	control: boolean;
	startedAt: string;
	seconds: number;
	kernel: string;
	cpus: number;
	ended: string;
	tally: OracleTally;
	/** The first of each taker. */
	wrong: WrongImage[];
	/** What kept a taker from its work. */
	failed: string[];
}

/** Every image was right; of a control, most were found wrong, of each kind. */
export function isGood({ control, tally, wrong, failed }: OracleVerdict): boolean {
	const images = sum(tally.images);
	if (wrong.length > 0 || failed.length > 0 || images === 0) return false;
	return !control || CONTROLS.every((name) => (tally.seen[name] ?? 0) > images / CONTROLS.length / 2);
}

export const traceOf = (error: unknown): string =>
	(error instanceof Error ? error.stack ?? error.message : messageOf(error));

const number = (value: number): string => value.toLocaleString('en-US');
const listed = (counts: Record<string, number>): string =>
	Object.entries(counts).sort(([, a], [, b]) => b - a).map(([what, count]) => `${number(count)} ${what}`).join('; ');

export function summaryLine({ seed, control, seconds, tally, wrong, failed }: OracleVerdict): string {
	const refused = sum(tally.refused);
	return [
		`${number(sum(tally.images))} images (${listed(tally.images)})`,
		...control ? [`of which wrong, as they must be: ${listed(tally.seen)}`] : [`${number(tally.pages)} pages checked`],
		`${number(refused)} refused${refused === 0 ? '' : ` (${listed(tally.refused)})`}`,
		`${number(wrong.length)} wrong`, ...failed.length === 0 ? [] : [`${number(failed.length)} takers failed`],
		`seed ${seed}`, `${number(Math.round(seconds))} s`,
	].join(', ');
}
