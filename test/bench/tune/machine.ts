/** The files of a machine with something for each knob, below a folder of the test's own. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { treeAt } from '../../../bench/tune/tree.ts';
import { aFolder } from '../store/fixtures.ts';

const CPU = 'sys/devices/system/cpu';
const FILES: Record<string, string> = {
	[`${CPU}/online`]: '0-2',
	[`${CPU}/cpufreq/policy0/scaling_governor`]: 'powersave', [`${CPU}/cpufreq/policy1/scaling_governor`]: 'schedutil',
	[`${CPU}/cpufreq/policy0/scaling_available_governors`]: 'performance powersave',
	[`${CPU}/cpufreq/policy1/scaling_available_governors`]: 'performance schedutil',
	[`${CPU}/cpufreq/boost`]: '1', [`${CPU}/cpu0/cpuidle/state1/latency`]: '2',
	[`${CPU}/cpu0/cpuidle/state1/disable`]: '0', [`${CPU}/cpu0/cpuidle/state2/latency`]: '100',
	[`${CPU}/cpu0/cpuidle/state2/disable`]: '0', 'sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never',
	'sys/kernel/mm/ksm/run': '1', 'proc/sys/kernel/numa_balancing': '1', 'proc/sys/kernel/watchdog': '1',
	'proc/sys/kernel/nmi_watchdog': '0', 'proc/sys/kernel/soft_watchdog': '1',
	'proc/sys/kernel/sched_rt_runtime_us': '950000', 'proc/irq/7/smp_affinity_list': '0-2',
	'proc/irq/12/smp_affinity_list': '1', 'proc/sys/kernel/random/boot_id': 'this-boot', 'run/other': 'x',
};

export interface FakeMachine {
	root: string;
	/** What each file says, as tune reads it; the state's among them, if there is one. */
	settings: () => Record<string, string>;
	set: (path: string, text: string) => void;
}

export function aMachine(t: ExecutionContext): FakeMachine {
	const root = aFolder(t), tree = treeAt(root);
	const set = (path: string, text: string): void => {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), `${text}\n`);
	};
	for (const [path, text] of Object.entries(FILES)) set(path, text);
	const settings = () => Object.fromEntries(readdirSync(root, { recursive: true, withFileTypes: true })
		.filter((entry) => !entry.isDirectory())
		.map((entry) => join(entry.parentPath, entry.name).slice(root.length)).sort()
		.map((path) => [path, path.startsWith('/run') ? readFileSync(root + path, 'utf8').trim() : tree.read(path)]));
	return { root, settings, set };
}
