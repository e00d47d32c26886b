/**
 * Moves a duplicate from its target's control groups to this process's, so that nobody who ended a service has to wait
 * for them to be empty. Only when the target has ended: until then the duplicate is what the kernel kills in the
 * target's place where the memory of their group is used up (it is its first choice), and it could not do that from
 * elsewhere. Memory stays charged where it is; a group may be removed all the same (cgroups(7)).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { textOf } from '../common/bytes-text.ts';
import { isGone, messageOf } from '../common/errors.ts';

/** `controllers`: of /proc/PID/cgroup; '' is version 2. */
interface Group { controllers: string; path: string }
interface Hierarchy { options: string[]; root: string; mountedAt: string; isV2: boolean }

/** Where it stays, and why: in sentences; none where it has left all that were not ours. `tracer` holds it. */
export async function moveToOwnGroups(pid: number, tracer: number): Promise<string[]> {
	try {
		// Its number may be another's by now; but nobody else is traced by a thread of ours.
		const thread = await statusNumber(pid, 'TracerPid');
		if (thread === 0 || await statusNumber(thread, 'Tgid') !== tracer) return [];
		const [own, its, mounts] = await Promise.all([
			groupsOf('self'), groupsOf(pid), readFile('/proc/self/mountinfo').then(textOf),
		]);
		const hierarchies = parseHierarchies(mounts);
		const others = own.filter(({ controllers, path }) =>
			its.some((group) => group.controllers === controllers && group.path !== path));
		const stays: string[] = [];
		for (const group of others) {
			const why = await moved(pid, group, hierarchies);
			const where = its.find(({ controllers }) => controllers === group.controllers)?.path ?? '';
			if (why !== null) stays.push(`${group.controllers || 'version 2'}: it stays in ${where}: ${why}`);
		}
		return stays;
	} catch (error) {
		if (isGone(error)) return [];
		return [`nobody knows in which groups it is: ${messageOf(error)}`];
	}
}

const statusNumber = async (pid: number, field: string): Promise<number> => {
	const status = textOf(await readFile(`/proc/${pid}/status`));
	return Number(new RegExp(`^${field}:\\s*(\\d+)$`, 'm').exec(status)?.[1] ?? 0);
};

/** null: it has moved. */
async function moved(pid: number, group: Group, hierarchies: readonly Hierarchy[]): Promise<string | null> {
	const folder = folderOf(group, hierarchies);
	if (folder === null) return 'this process\'s group is in no cgroup file system that is mounted here';
	try {
		await writeFile(join(folder, 'cgroup.procs'), String(pid));
		return null;
	} catch (error) {
		return messageOf(error);
	}
}

async function groupsOf(pid: number | 'self'): Promise<Group[]> {
	return textOf(await readFile(`/proc/${pid}/cgroup`)).split('\n').flatMap((line) => {
		const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
		return controllers === undefined || path === undefined ? [] : [{ controllers, path }];
	});
}

/** Of /proc/PID/mountinfo. Pure. */
export function parseHierarchies(mountinfo: string): Hierarchy[] {
	return mountinfo.split('\n').flatMap((line) => {
		const fields = line.split(' '), dash = fields.indexOf('-'), type = fields[dash + 1];
		if (dash < 0 || (type !== 'cgroup' && type !== 'cgroup2')) return [];
		const [root = '', mountedAt = ''] = fields.slice(3, 5).map((path) =>
			path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8))));
		return [{ options: (fields[dash + 3] ?? '').split(','), root, mountedAt, isV2: type === 'cgroup2' }];
	});
}

/** Where that group is; null: nowhere that we see. Pure. */
export function folderOf({ controllers, path }: Group, hierarchies: readonly Hierarchy[]): string | null {
	for (const { options, root, mountedAt, isV2 } of hierarchies) {
		const isIt = controllers === ''
			? isV2
			: !isV2 && controllers.split(',').every((name) => options.includes(name));
		const below = relative(root, path);
		if (isIt && below !== '..' && !below.startsWith('../')) return join(mountedAt, below);
	}
	return null;
}
