/** `node killed.ts ROOT apply|restore STEP`: kills itself before that step, of those that write. Prints how many. */
import { discoverKnobs } from '../../../bench/commands/tune.ts';
import { treeAt } from '../../../bench/tune/tree.ts';
import { apply, restore } from '../../../bench/tune/tune.ts';
import type { Tree } from '../../../bench/tune/types.ts';

const [root = '', action, last = ''] = process.argv.slice(2);
const tree = treeAt(root);
let step = 0;
const stepped = <Args extends unknown[]>(call: (...args: Args) => void) => (...args: Args): void => {
	if (step++ === Number(last)) process.kill(process.pid, 'SIGKILL');
	call(...args);
};
const mortal: Tree = { ...tree, write: stepped(tree.write), keep: stepped(tree.keep) };
if (action === 'apply') apply(mortal, await discoverKnobs());
else restore(mortal);
process.stdout.write(String(step));
