/** procsnap info DIR: what is in it. */
import { Failure, UsageError } from '../../common/errors.ts';
import { FILES, readWhole } from '../evidence/folder.ts';
import type { Manifest } from '../evidence/manifest.ts';
import { evidenceId } from '../evidence/seal.ts';
import { bytesText } from '../../common/format.ts';
import { parseOptions, type Option } from '../../common/options.ts';
import { out } from '../../common/terminal.ts';
import { identityText } from '../texts.ts';
import { describe } from './take.ts';

export const summary = 'show what evidence there is, region by region';

const OPTIONS = {
	registers: { kind: 'flag', help: 'show each thread\'s registers, general and of XSAVE, from its core' },
	raw: { kind: 'flag', help: 'with --registers: what was read where the layout in the core is another' },
	json: { kind: 'flag', help: 'print the manifest, with "verified": false, its id, and "registers"' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap info DIR [OPTIONS]',
	text: 'Shows what the manifest says, and the core. It does not verify them: procsnap verify does.',
	options: OPTIONS,
	examples: ['procsnap info plc-1', 'procsnap info plc-1 --registers'],
	exits: '0 shown; 1 not to be read; 2 wrong usage.',
};

export async function run(args: string[]): Promise<number> {
	const { flags, positionals } = parseOptions(args, OPTIONS, 1);
	const [dir] = positionals;
	if (dir === undefined) throw new UsageError('info wants an evidence folder: procsnap info DIR');
	const withRaw = flags.has('raw');
	if (withRaw && !flags.has('registers')) throw new UsageError('--raw is of registers: give --registers too');
	const { manifest, text } = await readManifest(dir), id = evidenceId(text);
	const threads = flags.has('registers') ? await registersIn(dir) : null;
	if (flags.has('json')) {
		const registers = threads?.map(({ raw, ...thread }) => (withRaw ? { ...thread, raw } : thread));
		const ours = { verified: false, id, ...(registers === undefined ? {} : { registers }) };
		// As it is in the folder, whatever version it is of. What it says of itself by our names does not count.
		out.json(Object.assign({ ...ours }, JSON.parse(text.toString('utf8')), ours));
		return 0;
	}
	const registerLines = threads === null
		? []
		: [
			...(await import('../registers-text.ts')).registerLines(threads, withRaw),
			...unreadLines(manifest),
		];
	out.lines([
		`NOT VERIFIED: this is what the folder says, and anybody may have written it: procsnap verify ${dir} --key FILE`,
		...describe(dir, manifest), ...regionLines(manifest), `  ${identityText(manifest, id)}`, ...registerLines,
	]);
	return 0;
}

/** Not verified: it may be anybody's. */
async function readManifest(dir: string): Promise<{ manifest: Manifest; text: Buffer }> {
	const { parseManifest } = await import('../evidence/manifest-schema.ts');
	try {
		const text = readWhole(dir, FILES.manifest);
		return { manifest: parseManifest(text), text };
	} catch (error) {
		throw error instanceof Failure
			? new Failure(`${dir} is no evidence folder: ${FILES.manifest}: ${error.message}`)
			: error;
	}
}

async function registersIn(dir: string): Promise<import('../evidence/registers.ts').ThreadRegistersText[]> {
	const [{ readRegisters }, { registersByName }] = await Promise.all([
		import('../evidence/core-notes.ts'), import('../evidence/registers.ts'),
	]);
	return registersByName(readRegisters(dir));
}

/** Of threads that were not stopped: zeros in place of their registers would be taken for registers. */
const unreadLines = ({ threads }: Manifest): string[] => threads.flatMap(({ tid, running, waiting }) => {
	if (waiting === undefined) return [];
	const head = `thread ${tid}: its registers were not read, since it was not stopped`;
	if (waiting === null) return [`${head}; ${running ? 'it ran' : 'nothing is known of where it was'}`];
	const { call, arguments: values, stackPointer, programCounter } = waiting;
	return [
		`${head}; it waited ${call === null ? 'in no system call' : `in ${call}(${values.join(', ')})`}`,
		`  stack pointer ${stackPointer}, program counter ${programCounter}, as the kernel told of it then`,
	];
});

const regionLines = ({ regions }: Manifest): string[] =>
	regions.map(({ start, end, permissions, capture, bytes, name, unreadable, takenBack = [] }) =>
	`  ${start}-${end} ${permissions} ${bytesText(bytes).padStart(10)} ` +
		`${capture}${unreadable.length > 0 ? ` (${unreadable.length} unreadable)` : ''}` +
		`${takenBack.length > 0 ? ` (${takenBack.length} taken back)` : ''} ${name}`);
