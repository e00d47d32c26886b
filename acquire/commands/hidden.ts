/** procsnap hidden PID: what a copy made by fork does not have. */
import { MAX_STOP, pidOf, stopLimitOf } from '../arguments.ts';
import type { CallCount } from '../../native/index.ts';
import { bytesText } from '../../common/format.ts';
import { MECHANISM } from '../mechanism-option.ts';
import { mechanismFor } from '../../mechanisms/shared/all.ts';
import { findHidden, type HiddenRegion } from '../hidden.ts';
import { parseOptions, type Option } from '../../common/options.ts';
import { note, out } from '../../common/terminal.ts';
import { lengthenedTexts } from '../texts.ts';

export const summary = 'list the memory that copies made by fork miss';

const OPTIONS = {
	mechanism: MECHANISM,
	'max-stop': MAX_STOP,
	json: { kind: 'flag', help: 'print one line of JSON for machines' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap hidden PID [OPTIONS]',
	text: `Duplicates the process, compares the duplicate with it, ends the duplicate and lists
what a fork leaves out, wipes or does not freeze. No memory is kept. procsnap take takes
of that what can be read, and labels it.`,
	options: OPTIONS,
	examples: ['procsnap hidden 1234'],
	exits: '0 nothing is hidden; 1 not to be seen; 2 wrong usage; 4 something is hidden.',
};

const FOUND = 4;

const REASONS: Record<HiddenRegion['why'], string> = {
	'left-out': 'left out of a fork (MADV_DONTFORK)',
	'wiped': 'zeros in a fork (MADV_WIPEONFORK)',
	'shared': 'shared: goes on changing',
	'device': 'of a device or the kernel',
	'secret': 'shown to nobody (memfd_secret)',
	'absent': 'not in the duplicate, though no flag says so: mapped anew meanwhile?',
};
/** What a program does to hide, or cannot help: the rest every process has. */
const SUSPICIOUS = ['left-out', 'wiped', 'secret'];

export async function run(args: string[]): Promise<number> {
	const { flags, values, positionals } = parseOptions(args, OPTIONS, 1);
	const pid = pidOf(positionals[0], 'hidden');
	const mechanism = mechanismFor(values.mechanism?.at(-1));
	const limitMs = stopLimitOf(values['max-stop']?.at(-1));
	const { regions, unlocatedBytes, calls, texts } = await findHidden(pid, mechanism, limitMs);
	const sum = (of: (count: CallCount) => number): number | null =>
		calls?.reduce((total, count) => total + of(count), 0) ?? null;
	const lengthenedTimeouts = sum(({ lengthened }) => lengthened), cutCalls = sum(({ cut }) => cut);
	for (const text of [...texts, ...lengthenedTexts(lengthenedTimeouts)]) note(text);
	if (flags.has('json')) {
		const listed = regions.map(({ start, end, ...region }) =>
			({ start: `0x${start.toString(16)}`, end: `0x${end.toString(16)}`, ...region }));
		const told = { pid, mechanism: mechanism.name, lengthenedTimeouts, cutCalls, calls };
		out.json({ ...told, regions: listed, unlocatedBytes });
	} else {
		const how = mechanism.forked
			? 'procsnap take reads what it can of these from the live process'
			: `the copy by ${mechanism.name} has them, frozen`;
		out.lines([
			`process ${pid}: ${regions.length} regions that a copy made by fork does not have as they were; ${how}`,
			...regions.map(regionLine),
			...(unlocatedBytes === 0
				? []
				: [
					`  ${bytesText(unlocatedBytes)} of addresses more are left out of a fork, and nobody knows where: they ` +
						`were not found in the time that the process may be stopped`,
				]),
		]);
	}
	return unlocatedBytes > 0 || regions.some(({ why }) => SUSPICIOUS.includes(why)) ? FOUND : 0;
}

const regionLine = ({ start, end, why, residentBytes, name }: HiddenRegion): string =>
	`  ${start.toString(16)}-${end.toString(16)} ` +
		(residentBytes === null ? 'moved, or given up ' : `${bytesText(residentBytes).padStart(10)} resident `) +
		` ${REASONS[why]}  ${name}`;
