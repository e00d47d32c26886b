/** All mechanisms: what lies in mechanisms/ is there, in their order and then by name. */
import { fileURLToPath } from 'node:url';
import { discover, inOrder, type Fields } from '../../common/discover.ts';
import { UsageError } from '../../common/errors.ts';
import type { Mechanism } from './types.ts';

const FIELDS: Fields = {
	name: 'string',
	order: 'number',
	title: 'string',
	description: 'string',
	duplicates: 'boolean',
	forked: 'boolean',
	keepsShared: 'boolean',
	allFlags: 'boolean',
	ofOneMoment: 'boolean',
	cooperative: 'boolean',
	notForEvidence: 'string or null',
	unavailable: 'function',
	open: 'function',
};

/** Throws Failure, which names the file, where one is no mechanism. */
export async function discoverMechanisms(folder = fileURLToPath(new URL('..', import.meta.url))): Promise<Mechanism[]> {
	const found = await discover(folder, 'mechanism', FIELDS, 'mechanisms/shared/types.ts');
	return inOrder(found.map(({ value }) => value as Mechanism));
}

export const MECHANISMS: readonly Mechanism[] = await discoverMechanisms();

/** What is read through them is of one moment: all but those that read a process as it runs. */
export const ofOneMoment = (): Mechanism[] => MECHANISMS.filter((mechanism) => mechanism.ofOneMoment);

/** Those that evidence of one moment can be taken by, on this machine or another: among them is chosen. */
export const forEvidence = (): Mechanism[] => ofOneMoment().filter(({ notForEvidence }) => notForEvidence === null);

/** Those that evidence can be taken by which is not of one moment: they have to be asked for. */
export const asItRuns = (): Mechanism[] =>
	MECHANISMS.filter((mechanism) => mechanism.notForEvidence === null && !mechanism.ofOneMoment);

/**
 * The mechanism of this name, or the first that evidence of one moment can be taken by on this machine. Throws
 * UsageError.
 */
export function mechanismFor(name?: string): Mechanism {
	const choice = forEvidence(), known = [...choice, ...asItRuns()];
	if (name === undefined)
		return choice.find(({ unavailable }) => unavailable() === null) ?? choice.at(-1) as Mechanism;
	const found = known.find((mechanism) => mechanism.name === name);
	if (found !== undefined) return found;
	const reason = MECHANISMS.find((mechanism) => mechanism.name === name)?.notForEvidence;
	const names = listed(known.map((mechanism) => mechanism.name));
	throw new UsageError(`--mechanism ${name}: ${reason == null ? '' : `${reason}; `}the mechanisms are ${names}`);
}

/**
 * Those of `--mechanism`, in their order: each value is a name, or several with commas between them. Throws
 * UsageError.
 */
export function mechanismsFor(values: readonly string[]): [Mechanism, ...Mechanism[]] {
	const names = values.flatMap((value) => value.split(','));
	const twice = names.find((name, i) => names.indexOf(name) !== i);
	if (twice !== undefined) throw new UsageError(`--mechanism: ${twice} is there twice, and each is tried once`);
	return names.map((name) => mechanismFor(name)) as [Mechanism, ...Mechanism[]];
}

/** `a, b and c`. */
const listed = (names: readonly string[]): string =>
	[names.slice(0, -1).join(', '), names.at(-1)].filter((text) => text !== '').join(' and ');
