/** What is written down of settings that are changed: before the first of them is, until the last is put back. */
import * as v from 'valibot';
import { Failure, messageOf } from '../../common/errors.ts';
import { fields, mismatch } from '../store/shape.ts';
import type { State, Tree } from './types.ts';

/** Gone with a boot, as the settings are. */
export const STATE = '/run/procsnap-tune.json';
const BOOT = '/proc/sys/kernel/random/boot_id';
const SCHEMA_VERSION = 1;

const shape = fields({
	schemaVersion: v.literal(SCHEMA_VERSION), bootId: v.string(), since: v.string(),
	changes: v.array(fields({
		knob: v.string(), path: v.pipe(v.string(), v.regex(/^\/(proc|sys)\/(?!.*\.\.)/)), before: v.string(),
		after: v.string(), mayRefuse: v.boolean(),
	})),
});

/** null: nothing of ours is set. What was written before the last boot is no more, and is removed by `writeState`. */
export function readState(tree: Tree): State | null {
	if (tree.paths(STATE).length === 0) return null;
	let state: unknown;
	try {
		state = JSON.parse(tree.read(STATE));
	} catch (error) {
		throw new Failure(`${corrupt} (${messageOf(error)})`, { cause: error });
	}
	const wrong = mismatch(state, shape);
	if (wrong !== undefined) throw new Failure(`${corrupt} (${wrong})`);
	return (state as State).bootId === tree.read(BOOT) ? state as State : null;
}

const corrupt = `${STATE}: is corrupt, so what was set before is not known: remove it and boot, which resets all of it`;

export const newState = (tree: Tree): State =>
	({ schemaVersion: SCHEMA_VERSION, bootId: tree.read(BOOT), since: new Date().toISOString(), changes: [] });

/** Returns when it is on the disk. null, or nothing that is changed: removed. */
export const writeState = (tree: Tree, state: State | null): void =>
	tree.keep(STATE, state === null || state.changes.length === 0 ? null : `${JSON.stringify(state, null, '\t')}\n`);

/** For doctor: null where nothing of ours is set. */
export function tunedText(tree: Tree): string | null {
	try {
		const state = readState(tree);
		if (state === null) return null;
		const names = [...new Set(state.changes.map(({ knob }) => knob))].join(', ');
		return `TUNED by procsnap since ${state.since} and not restored (${names}): npm run tune -- restore`;
	} catch (error) {
		return `Whether it is TUNED by procsnap is unknown: ${messageOf(error)}`;
	}
}
