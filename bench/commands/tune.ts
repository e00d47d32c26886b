/** `tune`: settings of the machine that disturb measurements, set for a while and put back. */
import { closeSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { discover, inOrder } from '../../common/discover.ts';
import { Failure, messageOf, UsageError } from '../../common/errors.ts';
import { expectOneOf, helpFor, parseOptions, userPath, type Option } from '../../common/options.ts';
import { err, out } from '../../common/terminal.ts';
import { lockFile } from '../../native/index.ts';
import type { Command } from '../discover.ts';
import { readState, STATE } from '../tune/state.ts';
import { treeAt } from '../tune/tree.ts';
import { apply, restore } from '../tune/tune.ts';
import type { Knob, Tree } from '../tune/types.ts';

const ACTIONS = ['apply', 'restore', 'status'] as const;
/** `status`: something is set and not restored. */
const EXIT_TUNED = 3;

const OPTIONS = {
	knob: { kind: 'many', value: 'NAME', help: 'apply only this one; may be repeated (default: all)' },
	root: { kind: 'one', value: 'DIR', help: 'the machine\'s files are below DIR: for a trial' },
	help: { kind: 'flag', help: 'this text' },
} as const satisfies Record<string, Option>;

const help = (knobs: readonly Knob[]): string => `npm run tune -- apply|restore|status [options]

Sets what disturbs measurements, until it is put back: by restore, or by a boot.
What it was is written down first, in /run/procsnap-tune.json, so that restore
puts it back exactly, also after a crash. A knob that cannot be set is an error:
then all are put back.

${helpFor(OPTIONS)}
${knobs.map(({ name, title, risk }) => `  ${name.padEnd(15)} ${title}. Costs or risks: ${risk}\n`).join('')}
Exit code: 0 done, status: nothing is set; 1 not all could be done, and what not
is said; 2 wrong usage; 3 status: something is set and not restored.
`;

const KNOB = { name: 'string', order: 'number', title: 'string', risk: 'string', settings: 'function' } as const;

export async function discoverKnobs(): Promise<Knob[]> {
	const folder = fileURLToPath(new URL('../tune/knobs/', import.meta.url));
	return inOrder((await discover(folder, 'knob', KNOB, 'bench/tune/types.ts')).map(({ value }) => value as Knob));
}

export const command: Command = {
	summary: 'set what disturbs measurements, and put it back',
	run: async (args) => {
		const { flags, values, positionals } = parseOptions(args, OPTIONS, 1);
		const knobs = await discoverKnobs();
		if (flags.has('help')) {
			process.stdout.write(help(knobs));
			return 0;
		}
		const [named] = positionals;
		if (named === undefined) throw new UsageError(`what to do? ${ACTIONS.join(', ')}; --help says more`);
		const action = expectOneOf('action', named, ACTIONS);
		const names = values.knob?.map((name) => expectOneOf('knob', name, knobs.map((knob) => knob.name)));
		if (names !== undefined && action !== 'apply')
			throw new UsageError('--knob belongs to apply: the others take all');
		const root = values.root?.at(-1);
		const tree = treeAt(root === undefined ? '/' : userPath(root));
		if (action === 'status') return status(tree, knobs);
		return alone(tree, () =>
			(action === 'apply'
				? applied(tree, knobs.filter(({ name }) => names?.includes(name) ?? true))
				: restored(tree)));
	},
};

/** Two at once would take each other's settings for what was before. The lock goes with the process. */
function alone(tree: Tree, action: () => number): number {
	const folder = join(tree.root, dirname(STATE));
	let fd: number;
	try {
		fd = openSync(folder, 'r');
	} catch (error) {
		throw new Failure(`${folder}, where changes are written down: ${messageOf(error)}`, { cause: error });
	}
	try {
		if (!lockFile(fd)) throw new Failure('another tune is at work: wait until it is done');
		return action();
	} finally {
		closeSync(fd);
	}
}

function applied(tree: Tree, knobs: readonly Knob[]): number {
	const { changed, refused, idle } = apply(tree, knobs);
	out.lines(changed.map(({ knob, path, before, after }) => `${knob}: ${path}: ${before} -> ${after}`));
	out.lines(refused.map(({ knob, path, before }) =>
		`${knob}: ${path}: ${before}, which the kernel does not let change`));
	if (idle.length > 0) out.line(`nothing to change: ${idle.join(', ')}`);
	if (changed.length > 0) out.line('put it back with: npm run tune -- restore');
	return 0;
}

function restored(tree: Tree): number {
	const result = restore(tree);
	if (result === null) {
		out.line('nothing of ours is set');
		return 0;
	}
	out.lines(result.restored.map(({ knob, path, before }) => `${knob}: ${path}: ${before}`));
	err.lines(result.foreign.map(({ path, now, after }) =>
		`procsnap: ${path} was ${now}, not ${after}: somebody else has changed it meanwhile`));
	err.lines(result.left.map(({ knob, reason }) => `procsnap: the knob ${knob} cannot be put back: ${reason}`));
	return result.left.length > 0 ? 1 : 0;
}

function status(tree: Tree, knobs: readonly Knob[]): number {
	const state = readState(tree);
	for (const { name, title, settings } of knobs) {
		const all = settings(tree);
		const other = all.filter(({ path, value }) => tree.read(path) !== value);
		const ours = state?.changes.filter(({ knob }) => knob === name) ?? [];
		const is = ours.length > 0 ? `set by us since ${state?.since}`
			: other.length > 0 ? `not set: ${other[0]?.path} is ${tree.read(other[0]?.path ?? '')}`
			: 'nothing to change';
		out.line(`${name.padEnd(15)} ${is} (${title})`);
	}
	return state === null ? 0 : EXIT_TUNED;
}
