/** What take and hidden have in common. */
import { spawn } from 'node:child_process';
import test from 'ava';
import { Survey } from '../../acquire/survey.ts';
import { Failure } from '../../common/errors.ts';
import { startTicksOf } from '../../common/proc/process.ts';
import { fakeMechanism, fakeTracer } from '../bench/runner/fakes.ts';

test('a mechanism that is not for evidence is refused before it touches the target', async (t) => {
	const target = spawn('sleep', ['1000'], { stdio: 'ignore' }), pid = target.pid!;
	t.teardown(() => target.kill('SIGKILL'));
	const survey = new Survey({ pid, startTicks: startTicksOf(pid) });
	t.teardown(() => survey.close());
	let opened = false;
	const mechanism = fakeMechanism({
		notForEvidence: 'it is for comparison', open: () => { opened = true; throw new Error('opened'); },
	});
	await t.throwsAsync(survey.copy(fakeTracer(), mechanism), { instanceOf: Failure, message: 'it is for comparison' });
	t.false(opened);
	t.is(survey.still, undefined);
	t.throws(() => survey.image, { message: /there is no copy/ });
});
