/** Cgroups for tests, of version 1 or 2, whichever has the controller here; gone with the test. */
import type { ExecutionContext } from 'ava';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { until } from './help.ts';

export class Group {
	readonly folder: string;
	readonly version: 'v1' | 'v2';

	constructor(folder: string, version: 'v1' | 'v2') {
		this.folder = folder;
		this.version = version;
	}

	set(file: string, value: string): void {
		writeFileSync(`${this.folder}/${file}`, value);
	}

	get(file: string): string {
		return readFileSync(`${this.folder}/${file}`, 'utf8');
	}

	add(pid: number): void {
		this.set('cgroup.procs', String(pid));
	}

	child(name: string): Group {
		const made = new Group(`${this.folder}/${name}`, this.version);
		if (!existsSync(made.folder)) mkdirSync(made.folder);
		return made;
	}
}

let count = 0;

/** null: this controller is in no hierarchy that we may make a cgroup in. '' is version 2 without any. */
export function aGroup(t: ExecutionContext, controller: string): Group | null {
	const name = `procsnap-test-${process.pid}-${count++}`;
	const unified =
		['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((root) => existsSync(`${root}/cgroup.controllers`));
	const roots: Array<[string, 'v1' | 'v2']> = controller === '' ? [] : [[`/sys/fs/cgroup/${controller}`, 'v1']];
	if (unified !== undefined &&
		(controller === '' || readFileSync(`${unified}/cgroup.subtree_control`, 'utf8').split(/\s+/)
			.includes(controller))) {
		roots.push([unified, 'v2']);
	}
	for (const [root, version] of roots) {
		const group = new Group(`${root}/${name}`, version);
		try {
			if (!existsSync(root)) continue;
			mkdirSync(group.folder);
			// Version 2 has a controller in a child only where the parent hands it on.
			if (version === 'v2' && controller !== '') group.set('cgroup.subtree_control', `+${controller}`);
		} catch {
			continue;
		}
		t.teardown(async () => {
			const folders = [`${group.folder}/inner`, group.folder].filter((folder) => existsSync(folder));
			// Teardowns run last to first: the targets were killed, and are leaving.
			await until(
				`${group.folder} is empty`,
				() => folders.every((folder) => readFileSync(`${folder}/cgroup.procs`, 'utf8') === '')
			);
			for (const folder of folders) rmdirSync(folder);
		});
		return group;
	}
	return null;
}
