/**
 * Setting knobs and putting them back. At each moment what is written down suffices to put back whatever was changed:
 * all of it is written down first, and a line goes when its setting is as before. So a process that is killed in
 * between, at whatever step, leaves work for `restore`, and nothing else.
 */
import { Failure, messageOf } from '../../common/errors.ts';
import { newState, readState, writeState } from './state.ts';
import type { Change, Knob, State, Tree } from './types.ts';

export interface Applied {
	changed: Change[];
	/** Those that the kernel refused and that it may refuse: they are as before. */
	refused: Change[];
	/** Knobs of which this machine has nothing, or nothing to change. */
	idle: string[];
}

/** Throws Failure, which names the setting: then all is as it was before anything of ours. */
export function apply(tree: Tree, knobs: readonly Knob[]): Applied {
	const state = readState(tree) ?? newState(tree);
	const planned = knobs.map((knob) => ({ knob, changes: plan(tree, knob) }));
	const changes = planned.flatMap((each) => each.changes);
	const idle = planned.filter((each) => each.changes.length === 0).map(({ knob }) => knob.name);
	const kept = { ...state, changes: [...state.changes, ...changes.filter((change) => !known(state, change.path))] };
	if (changes.length > 0) writeState(tree, kept);
	const refused: Change[] = [];
	for (const change of changes) {
		try {
			set(tree, change.path, change.after);
		} catch (error) {
			if (!change.mayRefuse) throw undone(tree, kept, change, error);
			refused.push(change);
		}
	}
	// What was refused is as it was: it is not ours to put back.
	const ours = kept.changes.filter(({ path }) => !refused.some((each) => each.path === path && !known(state, path)));
	if (ours.length < kept.changes.length) writeState(tree, { ...kept, changes: ours });
	return { changed: changes.filter((change) => !refused.includes(change)), refused, idle };
}

/** What is not yet as wanted, and what it is now. */
function plan(tree: Tree, { name, settings }: Knob): Change[] {
	return settings(tree).flatMap(({ path, value, mayRefuse }) => {
		const before = tree.read(path);
		return before === value ? [] : [{ knob: name, path, before, after: value, mayRefuse: mayRefuse ?? false }];
	});
}

const known = ({ changes }: State, path: string): boolean => changes.some((change) => change.path === path);

/** The kernel may take a value and not keep it. */
function set(tree: Tree, path: string, value: string): void {
	tree.write(path, value);
	const now = tree.read(path);
	if (now !== value) throw new Failure(`${path} was set to ${value} and is ${now}`);
}

function undone(tree: Tree, state: State, { knob }: Change, error: unknown): Failure {
	const { left } = putBack(tree, state);
	const rest = left.length === 0
		? 'all is as it was before'
		: `and could not be put back: ${left.map(({ path }) => path).join(', ')}; npm run tune -- restore tries again`;
	return new Failure(
		`the knob ${knob} cannot be set: ${messageOf(error)}; ${rest}. Those that can be set: ` +
			'npm run tune -- apply --knob NAME',
		{ cause: error }
	);
}

export interface Restored {
	restored: Change[];
	/** Not as they were set: somebody else has changed them since. They are put back all the same. */
	foreign: Array<Change & { now: string }>;
	/** Could not be put back, with the reason; they stay written down. */
	left: Array<Change & { reason: string }>;
}

/** null: nothing of ours is set. */
export function restore(tree: Tree): Restored | null {
	const state = readState(tree);
	if (state !== null) return putBack(tree, state);
	writeState(tree, null);
	return null;
}

/** The last one first. */
function putBack(tree: Tree, state: State): Restored {
	const result: Restored = { restored: [], foreign: [], left: [] };
	for (const change of state.changes.toReversed()) {
		try {
			const now = tree.read(change.path);
			if (now !== change.after && now !== change.before) result.foreign.push({ ...change, now });
			if (now !== change.before) set(tree, change.path, change.before);
			result.restored.push(change);
		} catch (error) {
			result.left.push({ ...change, reason: messageOf(error) });
		}
	}
	writeState(tree, { ...state, changes: state.changes.filter(({ path }) =>
		result.left.some((change) => change.path === path)) });
	return result;
}
