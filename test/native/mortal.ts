/**
 * A requester that can be killed, or measured from outside:
 *   mortal.ts at STEP PID [snap|precopy]  dies at that step of a take
 *   mortal.ts at-end STEP PID [snap]   ... of an end
 *   mortal.ts duplicate|hold|snap PID  holds it until it is killed
 *   mortal.ts copies PID               stops and copies without end
 *   mortal.ts cycles|copy-cycles|snap-cycles N PID, starts N
 * Duplicates are injected, or with "snap" create_proc_snap()'s. Its first line of output is the tracer's pid; that of
 * the last three, what grew.
 */
import { readFileSync, writeSync } from 'node:fs';
import { Tracer } from '../../native/index.ts';
import { footprint } from './footprint.ts';

const [verb, ...args] = process.argv.slice(2);
const numbers = args.map(Number);

const say = (what: unknown): void => void writeSync(1, `${JSON.stringify(what)}\n`);
const start = (): Tracer => {
	const tracer = Tracer.start();
	say(tracer.pid);
	return tracer;
};
const stay = (): Promise<never> => new Promise(() => setInterval(() => {}, 1000));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function grown(rounds: number, pids: Record<string, number>, cycle: () => void): Promise<void> {
	const measure = async (): Promise<Record<string, unknown>> => {
		// The areas of closed tracers: node unmaps them in a turn of its own.
		for (let i = 0; i < 3; i++) {
			globalThis.gc?.();
			await turn();
		}
		return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, footprint(pid)]));
	};
	const times = async (count: number): Promise<void> => {
		for (let i = 0; i < count; i++) {
			cycle();
			await turn();
		}
	};
	await times(Math.min(50, rounds / 4));		// what is made once and kept
	const before = await measure();
	await times(rounds);
	say({ before, after: await measure() });
}

switch (verb) {
	case 'at':
	case 'at-end': {
		const tracer = start();
		if (verb === 'at') tracer.killAt(args[0]!, 'requester');
		if (args[2] === 'precopy') {
			tracer.precopy(numbers[1]!);
			while (!tracer.precopyGoOn(20).done);
		} else tracer[args[2] === 'snap' ? 'snap' : 'inject'](numbers[1]!);
		if (verb === 'at-end') tracer.killAt(args[0]!, 'requester');
		tracer.end();
		say('alive');
		tracer.close();
		break;
	}
	case 'duplicate':
	case 'snap':
	case 'hold': {
		const tracer = start();
		if (verb === 'hold') tracer.hold(numbers[0]!);
		say(verb === 'hold' ? 0 : tracer[verb === 'snap' ? 'snap' : 'inject'](numbers[0]!).pid);
		await stay();
		break;
	}
	case 'copies':
		for (const tracer = start();;) {
			say(tracer.stopCopy(numbers[0]!).bytes);
			tracer.end();
		}
	case 'cycles':
	case 'copy-cycles':
	case 'snap-cycles': {
		const tracer = start(), [rounds, pid] = numbers as [number, number];
		const text = BigInt(`0x${readFileSync(`/proc/${pid}/maps`, 'utf8').split('-')[0] ?? ''}`);
		await grown(rounds, { requester: process.pid, tracer: tracer.pid, target: pid }, () => {
			if (verb === 'copy-cycles') tracer.stopCopy(pid);
			else tracer.read('proc-mem', (verb === 'cycles' ? tracer.inject(pid) : tracer.snap(pid)).pid, text, 4096);
			if (verb === 'snap-cycles') tracer.registers();
			tracer.end();
		});
		tracer.close();
		break;
	}
	case 'starts':
		await grown(numbers[0]!, { requester: process.pid }, () => Tracer.start().close());
		break;
	default:
		throw new Error(`mortal.ts ${String(verb)}?`);
}
