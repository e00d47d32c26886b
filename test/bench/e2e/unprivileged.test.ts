/** Without root: the same run, with what the machine grants. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { testUnless } from '../../unless.ts';
import { aFolder } from './procsnap.ts';

const NOBODY = 65534;
const node = realpathSync(process.execPath);
const asNobody = (...args: string[]) =>
	spawnSync(
		'setpriv', ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--inh-caps=-all', ...args],
		{ encoding: 'utf8' }
	);

const readable = process.getuid?.() === 0
	? asNobody('test', '-r', realpathSync('bench/cli.ts'), '-a', '-x', node).status === 0
	: null;
const reason = readable === null
	? 'it takes root to become nobody'
	: readable ? null : 'this checkout cannot be read by nobody';
const maybe = testUnless(reason);

maybe('an ordinary user measures too, and the manifest says what was not granted', (t) => {
	const folder = aFolder(t);
	chmodSync(folder, 0o777);
	const dir = join(folder, 'run');
	const { status, stderr } = asNobody(
		node, 'bench/cli.ts', 'bench', '--environment', 'host', '--profile', 'smoke', '--experiment', 'integrity',
		'--out', dir
	);
	t.is(status, 0, stderr);
	const { isolation } = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as {
		isolation: { fifoTarget: boolean; reasons: string[] };
	};
	t.false(isolation.fifoTarget);
	t.regex(isolation.reasons.join(), /SCHED_FIFO is not allowed/);
});

maybe('a process of somebody else: a clear error that says what to do', (t) => {
	const script =
		`const { Tracer } = await import(${JSON.stringify(new URL('../../../native/index.ts', import.meta.url).href)});
		try { Tracer.start().inject(${process.pid}) } catch (error) { console.log(error.code, error.message) } process.exit(0)`;
	const { stdout } = asNobody(node, '--input-type=module', '-e', script);
	t.regex(stdout, /^EPERM no permission to trace process \d+: run as root or with CAP_SYS_PTRACE/);
});
