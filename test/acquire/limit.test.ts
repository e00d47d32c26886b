/** --max-stop: for how long threads may wait for others to stop is the user's to say. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { mechanismFor } from '../../mechanisms/shared/all.ts';
import { children, until } from '../native/help.ts';
import { isFree, statusField } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { startTarget, temporaryFolder } from './help.ts';
import { procsnap } from './real/taking.ts';

const injectTest = testUnless(
	mechanismFor().name === 'inject' ? null : 'the kernel makes the duplicate here, and stops nobody'
);

/** Much more than the default: on a busy machine the kernel takes its time. */
const PATIENT = ['--max-stop', '30000'];
/** One of them may find all threads just at the end of their calls. */
const TRIES = 3;

injectTest('threads that the kernel does not interrupt: given up after --max-stop, with nothing left, and taken ' +
	'where more is allowed', async (t) => {
	const target = await startTarget(t, 'unwilling', 3), folder = temporaryFolder(t), refusals: string[] = [];
	// The tracer stays until the last one has come back from the kernel.
	const released = () =>
		until(
			'nobody traces the target',
			() => readdirSync(`/proc/${target.pid}/task`).every((tid) => statusField(Number(tid), 'TracerPid') === '0')
		);
	for (let i = 0; i < TRIES && refusals.length === 0; i++) {
		await released();
		const hidden = await procsnap('hidden', String(target.pid), '--max-stop', '1');
		if (hidden.code === 1) refusals.push(hidden.stderr);
	}
	await released();
	const { code, stderr } = await procsnap(
		'take', String(target.pid), '--out', join(folder, 'evidence'), '--key', join(folder, 'key'), '--max-stop', '1',
		'--mechanism', 'inject'
	);
	if (code === 1) {
		refusals.push(stderr);
		t.deepEqual(readdirSync(folder), [], 'neither evidence nor a key');
	}
	t.true(refusals.length > 0, 'given up');
	for (const said of refusals)
		t.regex(said, /^procsnap: thread \d+ of process \d+ did not stop within \d+ ms \([^\n]*--max-stop\)\n$/);

	for (const verb of [['hidden'], ['take', '--out', join(folder, 'patient'), '--key', join(folder, 'key')]]) {
		await released();
		const patient = await procsnap(
			...verb, String(target.pid), ...PATIENT, '--json', '--mechanism', 'inject'
		);
		t.is(patient.code, 0, patient.stderr);
	}
	await released();
	t.true(isFree(target.pid));
	await until(
		'the duplicates are buried, at a later try of the tracer\'s if need be', () => children(target.pid).length === 0
	);
	await target.runs(1);
});
