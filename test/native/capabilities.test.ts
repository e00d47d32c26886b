/** Tracing takes one capability, whoever the target's user is. */
import { aMark, eventually, isFree, marked, NODE } from '../processes.ts';
import { asUser, leastRightsTest, NOBODY } from '../least-rights.ts';
import { spawn } from 'node:child_process';

leastRightsTest('a duplicate of another user\'s process is ended without CAP_KILL', async (t) => {
	const [name = '', value] = aMark().split('=');
	const target = spawn('sleep', ['1000'], { env: { ...process.env, [name]: value } });
	t.teardown(() => marked(`${name}=${value}`).forEach((pid) => process.kill(pid, 'SIGKILL')));
	const script =
		`const { Tracer } = await import(${JSON.stringify(new URL('../../native/index.ts', import.meta.url).href)});
		const tracer = Tracer.start();
		const { pid } = tracer.inject(${target.pid});
		const { reapNs } = tracer.end();
		tracer.inject(${target.pid});
		tracer.close();
		console.log(pid, reapNs > 0); process.exit(0)`;
	const { status, stdout, stderr, error } = asUser(
		NOBODY, ['sys_ptrace'], 'env', `${name}=${value}`, ...NODE, '--input-type=module', '-e', script
	);
	t.is(error, undefined);
	t.is(status, 0, stderr);
	t.regex(stdout, /^\d+ true\n$/);
	// Both duplicates and the tracer are gone: one ended as asked, one with its tracer.
	await eventually(() => (marked(`${name}=${value}`).length === 1 ? true : undefined), 'only the target is left');
	t.true(isFree(target.pid!));
});
