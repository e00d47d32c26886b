/** --max-stop: for how long threads may wait for others to stop is the user's to say. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { bestMechanism } from '../../acquire/duplicate.ts';
import { children } from '../native/help.ts';
import { isFree } from '../processes.ts';
import { testUnless } from '../unless.ts';
import { startTarget, temporaryFolder } from './help.ts';
import { procsnap } from './real/taking.ts';

const injectTest = testUnless(bestMechanism() === 'inject' ? null : 'the kernel makes the duplicate here, and stops nobody');

/** Much more than the default: on a busy machine the kernel takes its time. */
const PATIENT = ['--max-stop', '30000'];
/** One of them may find the thread just at the end of its call. */
const TRIES = 3;

injectTest('a thread that the kernel does not interrupt: given up after --max-stop, with nothing left, and taken where more is allowed', async (t) => {
	const target = await startTarget(t, 'populating', 256), folder = temporaryFolder(t);
	const refusals: string[] = [];
	for (let i = 0; i < TRIES; i++) {
		const { code, stderr } = await procsnap('hidden', String(target.pid), '--max-stop', '1', '--json');
		if (code === 1) refusals.push(stderr);
	}
	t.true(refusals.length > 0, 'given up');
	for (const said of refusals) t.regex(said, /^procsnap: thread \d+ of process \d+ did not stop within \d+ ms \([^\n]*--max-stop\)\n$/);
	const taken = await procsnap('take', String(target.pid), '--out', join(folder, 'evidence'), '--key', join(folder, 'key'), '--max-stop', '1');
	if (taken.code === 1) t.deepEqual(readdirSync(folder), [], 'neither evidence nor a key');

	const { code, stderr } = await procsnap('hidden', String(target.pid), ...PATIENT, '--json');
	t.is(code, 0, stderr);
	t.true(isFree(target.pid));
	t.deepEqual(children(target.pid), []);
	await target.runs(1);
});
