/** procsnap info DIR: what is in it. */
import { Failure, UsageError } from '../../common/errors.ts';
import { FILES, readWhole } from '../evidence/folder.ts';
import type { Manifest } from '../evidence/manifest.ts';
import { bytesText, printable } from '../../common/format.ts';
import { parseOptions, type Option } from '../../common/options.ts';
import { describe } from './take.ts';

export const summary = 'show what evidence there is, region by region';

const OPTIONS = {
	json: { kind: 'flag', help: 'print the manifest' },
	help: { kind: 'flag', help: 'this text' },
} satisfies Record<string, Option>;

export const help = {
	usage: 'procsnap info DIR [OPTIONS]',
	text: 'Shows what the manifest says. It does not verify it: procsnap verify does.',
	options: OPTIONS,
	examples: ['procsnap info plc-1'],
	exits: '0 shown; 1 not to be read; 2 wrong usage.',
};

export async function run(args: string[]): Promise<number> {
	const { flags, positionals } = parseOptions(args, OPTIONS, 1);
	const [dir] = positionals;
	if (dir === undefined) throw new UsageError('info wants an evidence folder: procsnap info DIR');
	const { manifest, text } = await readManifest(dir);
	// As it is in the folder, whatever version it is of.
	process.stdout.write(
		flags.has('json')
			? `${escaped(JSON.stringify(JSON.parse(text)))}\n`
			: `${describe(dir, manifest)}${regionLines(manifest)}`
	);
	return 0;
}

/** Not verified: it may be anybody's. */
async function readManifest(dir: string): Promise<{ manifest: Manifest; text: string }> {
	const { parseManifest } = await import('../evidence/manifest-schema.ts');
	try {
		const text = readWhole(dir, FILES.manifest);
		return { manifest: parseManifest(text), text: text.toString('utf8') };
	} catch (error) {
		throw error instanceof Failure
			? new Failure(`${dir} is no evidence folder: ${FILES.manifest}: ${error.message}`)
			: error;
	}
}

/** A name is the target's choice: no control characters on somebody's terminal. */
const regionLines = ({ regions }: Manifest): string =>
	regions.map(({ start, end, permissions, capture, bytes, name, unreadable }) =>
	`  ${start}-${end} ${permissions} ${bytesText(bytes).padStart(10)} ` +
		`${capture}${unreadable.length > 0 ? ` (${unreadable.length} unreadable)` : ''} ${printable(name)}\n`).join('');

/** The same JSON, in ASCII. */
const escaped = (json: string): string =>
	json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
