/** How far it is, on a terminal only. */
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

test('not on what is no terminal', async (t) => {
	const { screen, written } = aScreen(false), { show, end } = createProgress('copying', screen);
	await sleep(250);
	show('pass 3');
	end();
	t.deepEqual(written, []);
});
