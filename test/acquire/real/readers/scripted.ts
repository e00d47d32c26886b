/** Programs that run others' programs: bash, Python, Node. */
import { realpathSync } from 'node:fs';
import { NODE } from '../../../processes.ts';
import { atRest, halvesOf, startProgram, textOf } from './starting.ts';
import type { Program } from './types.ts';

export const bash: Program = {
	name: 'bash', needs: { '/bin/bash': 'bash' }, small: true,
	async start(ends) {
		const [first, second] = halvesOf('bash');
		const shell = startProgram(ends, '/bin/bash', ['-c', `
			declare -A kept
			work() {
				for i in {1..2000}; do kept[$i]="${first}$1$(($i % 10))"; [ $((i % 500)) != 0 ] || expr $i >/dev/null; done
				echo ready
				while read -r line; do :; done
			}
			work ${second}`]);
		await shell.said;
		await atRest(shell.pid);
		return {
			pid: shell.pid, executable: realpathSync('/bin/bash'), text: textOf('bash'),
			stacks: [['read', 'read_builtin', 'execute_command_internal', 'execute_command', 'main']],
		};
	},
};

export const python: Program = {
	name: 'Python', needs: { '/usr/bin/python3': 'python3' }, small: true,
	async start(ends) {
		const [first, second] = halvesOf('python');
		const program = startProgram(ends, '/usr/bin/python3', ['-c', `if True:
			import hashlib, queue, sys, threading
			waiting = queue.Queue()
			kept = {hashlib.sha256(bytes([i])).digest(): "${first}" + sys.argv[1] for i in range(256)}
			threads = [threading.Thread(target=waiting.get, name=f'waits {i}', daemon=True) for i in range(3)]
			for thread in threads: thread.start()
			print('ready', flush=True)
			sys.stdin.readline()`, second]);
		await program.said;
		await atRest(program.pid);
		return {
			pid: program.pid, executable: realpathSync('/usr/bin/python3'), text: textOf('python'),
			stacks: [
				['read', '_PyEval_EvalFrameDefault', 'Py_RunMain', 'Py_BytesMain'],
				['PyThread_acquire_lock_timed', '_PyEval_EvalFrameDefault'],
			],
		};
	},
};

export const node: Program = {
	name: 'Node', needs: {}, small: false,
	async start(ends) {
		const [first, second] = halvesOf('node');
		const program = startProgram(ends, NODE[0], [...NODE.slice(1), '-e', `
			const { Worker } = require('node:worker_threads');
			globalThis.kept = Array.from({ length: 1000 }, () => Buffer.from('${first}' + process.argv[1], 'latin1'));
			new Worker('setInterval(() => {}, 1e6); require("node:worker_threads").parentPort.postMessage(1)', { eval: true })
				.once('message', () => console.log('ready'));
			process.stdin.resume();`, second]);
		await program.said;
		await atRest(program.pid);
		return {
			pid: program.pid, executable: realpathSync(NODE[0]), text: textOf('node'),
			stacks: [
				['epoll_pwait', 'uv__io_poll', 'uv_run', 'node::SpinEventLoopInternal', 'node::Start'],
				['epoll_pwait', 'uv__io_poll', 'uv_run', 'node::worker::Worker::Run'],
			],
			refusedBy: { precopy: /has an io_uring/ },
		};
	},
};
