/** A QEMU that boots nothing: a shell script that does with the control folder what the test wants. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { BootOptions } from '../../../../bench/environments/guest/boot.ts';

export interface Fake {
	options: BootOptions;
	/** What was said to the user, and the output. */
	notes: string[];
	output: { stdout: string; stderr: string };
	/** With what arguments it was started, each time. */
	starts: () => string[];
	/** The temporary folders of guests that are there now. */
	left: () => string[];
	env: Record<string, string>;
}

/** `behaviour` is shell; it has $control, $console and $start, how often it was started. */
export function fakeQemu(t: ExecutionContext, behaviour: string): Fake {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap test '));
	const temporary = join(folder, 'tmp');
	mkdirSync(temporary);
	mkdirSync(join(folder, 'kernel'));
	mkdirSync(join(folder, 'bin'));
	writeFileSync(join(folder, 'kernel', 'bzImage'), '');
	writeFileSync(join(folder, 'starts'), '');
	const script = join(folder, 'bin', 'qemu-system-x86_64');
	writeFileSync(script, `#!/bin/sh
[ "$1" = --version ] && { echo 'QEMU emulator version 9.8.7 (Fake)'; exit 0; }
echo "$$ $*" >>'${folder}/starts'
start=$(wc -l <'${folder}/starts')
for argument; do
	case $argument in
	local,id=control,path=*) control=\${argument#local,id=control,path=}; control=\${control%%,security_model*} ;;
	file:*) console=\${argument#file:} ;;
	esac
done
begin() { echo 1.25 >"$control/begun"; }
${behaviour}
`);
	chmodSync(script, 0o755);
	const before = { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'] };
	const env = { PATH: `${join(folder, 'bin')}:${before.PATH ?? ''}`, TMPDIR: temporary };
	Object.assign(process.env, env);
	t.teardown(() => {
		for (const [name, value] of Object.entries(before)) {
			if (value === undefined) {
				Reflect.deleteProperty(process.env, name);
			} else {
				process.env[name] = value;
			}
		}
		rmSync(folder, { recursive: true, force: true });
	});
	const notes: string[] = [];
	const output = { stdout: '', stderr: '' };
	return {
		notes,
		output,
		env,
		starts: () => readFileSync(join(folder, 'starts'), 'utf8').trim().split('\n').filter((line) => line !== ''),
		left: () => readdirSync(temporary),
		options: {
			kernelDir: join(folder, 'kernel'), cpus: 1, memoryMiB: 512, accelerator: 'tcg', command: ['true'],
			cwd: '/', env: {}, timeoutS: 30,
			onOutput: (stream, data) => { output[stream] += data.toString('utf8'); },
			onNote: (text) => { notes.push(text); },
		},
	};
}
