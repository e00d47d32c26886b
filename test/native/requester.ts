/**
 * requester.ts PID STEP WHOM: takes and ends a duplicate; at a step WHOM ('requester'
 * or 'tracer') is killed. Prints the tracer's pid, then how it went. For death.test.ts.
 */
import { ProcsnapError, Tracer } from '../../native/index.ts';

const [pid, step, whom] = process.argv.slice(2);
const tracer = Tracer.start();
console.log(tracer.pid);
tracer.killAt(step ?? '', whom === 'tracer' ? 'tracer' : 'requester');
try {
	tracer.inject(Number(pid));
	tracer.end();
	console.log('ended');
} catch (error) {
	console.log(error instanceof ProcsnapError ? error.code : String(error));
}
tracer.close();
