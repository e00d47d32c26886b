/** How far it is: on a terminal in one line, elsewhere a line now and then. */
import test from 'ava';
import { setTimeout as sleep } from 'node:timers/promises';
import { createProgress } from '../../common/progress.ts';

function aScreen(isTTY: boolean): { screen: NodeJS.WriteStream; written: string[] } {
	const written: string[] = [];
	return { screen: { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream, written };
}

test('shown not more often than can be read, and taken away at the end, once', async (t) => {
	const { screen, written } = aScreen(true), { show, update, end } = createProgress('copying', screen);
	show('at once');
	t.deepEqual(written, []);
	await sleep(250);
	show('pass 3');
	show('too soon');
	t.deepEqual(written, ['\r\x1b[Kcopying: pass 3']);
	await sleep(250);
	update(1 << 20, 2 << 20);
	t.regex(written[1]!, /^\r\x1b\[Kcopying: 1\.0 MiB of 2\.0 MiB, .*\/s, .* left$/);
	end();
	end();
	t.deepEqual(written.slice(2), ['\r\x1b[K']);
});

test('on what is no terminal: whole lines, not often, and nothing of what is soon over', async (t) => {
	const { screen, written } = aScreen(false), soon = createProgress('copying', screen);
	await sleep(250);
	soon.show('pass 3');
	soon.end();
	t.deepEqual(written, [], '10 s are not over');
	const { show, update, end } = createProgress('taking', screen, 300);
	show('at once');
	await sleep(350);
	show('pass 3');
	show('too soon');
	await sleep(350);
	update(1 << 20, 2 << 20);
	end();
	t.is(written.length, 2);
	t.is(written[0], 'procsnap: taking: pass 3\n');
	t.regex(written[1]!, /^procsnap: taking: 1\.0 MiB of 2\.0 MiB, [^\r\u001b]*\/s, .* left\n$/);
});

test('nothing of what it shows steers a terminal', async (t) => {
	const { screen, written } = aScreen(true), { show } = createProgress('copying', screen);
	await sleep(250);
	show('\u001b[2J\nx');
	t.deepEqual(written, ['\r\x1b[Kcopying: \\x1b[2J\\x0ax']);
});
