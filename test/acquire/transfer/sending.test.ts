/**
 * Evidence goes to a receiver while it is taken: whole, over any number of links, and the duplicate ends when it is
 * there.
 */
import test, { type ExecutionContext } from 'ava';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../../acquire/evidence/manifest.ts';
import { mechanismFor } from '../../../mechanisms/shared/all.ts';
import { eventually, isFree } from '../../processes.ts';
import { startTarget, temporaryFolder } from '../help.ts';
import type { Target } from '../../native/help.ts';
import { Authority, Children, Command, HOST, keptIn, Link, linkTest, ReceiverProcess, underWayIn } from './help.ts';

const MIB = 1 << 20;

interface Setting {
	target: Target; out: string; key: string; receiver: ReceiverProcess; link: Link; children: Children;
	send: (...more: string[]) => Command;
}

/** A target, a receiver and a link; `send` takes the target's evidence over it. */
async function setting(t: ExecutionContext, program: string, ...args: number[]): Promise<Setting> {
	const authority = new Authority(t, HOST, 'collector');
	const target = await startTarget(t, program, ...args);
	const base = temporaryFolder(t);
	const out = join(base, 'received'), key = join(base, 'key');
	const receiver = new ReceiverProcess(t, ['--out', out, ...authority.options(HOST)]);
	await receiver.start();
	const link = await Link.open(t, () => receiver.port);
	const send = (...more: string[]) =>
		new Command(
			// Its duplicates are counted.
			t, [
				'take', String(target.pid), '--mechanism', mechanismFor().name, '--to', `${HOST}:${link.port}`, '--key', key,
				...authority.options('collector'), ...more,
			]
		);
	return { target, out, key, receiver, link, children: new Children(t, target.pid), send };
}

/** The one folder there is, verified by its user's command. */
async function verified(t: ExecutionContext, { out, key }: Setting): Promise<Manifest> {
	const [name = ''] = keptIn(out);
	t.is(keptIn(out).length, 1);
	t.deepEqual(underWayIn(out), []);
	const { code, stdout } = await new Command(t, ['verify', join(out, name), '--key', `${key}.pub`]).ended;
	t.is(code, 0, stdout);
	const manifest = JSON.parse(readFileSync(join(out, name, 'manifest.json'), 'utf8')) as Manifest;
	t.regex(name, new RegExp(`^\\d{8}T\\d{6}Z-${manifest.transfer?.id ?? ''}$`));
	return manifest;
}

linkTest('what is sent is whole, and nothing of it is kept where it was taken', async (t) => {
	const each = await setting(t, 'reserve', 16, 12, 1);
	const take = each.send('--json');
	const { code, stderr, stdout } = await take.ended;
	t.is(code, 0, stderr);
	const { core } = await verified(t, each);
	t.true(core.bytes > 12 * MIB && each.link.bytes > core.bytes);
	t.regex((JSON.parse(stdout) as { where: string }).where, new RegExp(`: ${keptIn(each.out)[0] ?? ''}$`));
	t.deepEqual(readdirSync(take.cwd), []);
	t.is(each.children.seen.size, 1);
	t.true(isFree(each.target.pid));
	t.like(each.receiver.events.at(-1), { bytes: core.bytes });
});

linkTest('a link that is cut 20 times, a receiver that is killed five times: whole, of one moment, by one duplicate',
	async (t) => {
	// A third of it is shared and never the same: what is sent again must be what was read before.
	const each = await setting(t, 'sharing', 32, 16);
	const { link, receiver, children } = each;
	const next = () => { link.cutAfter = link.cuts < 20 ? 2 * MIB + Math.floor(Math.random() * MIB) : Infinity; };
	let restarts = 0;
	let restarting = Promise.resolve();
	link.onCut = () => {
		if (link.cuts % 4 === 0) {
			restarting = restarting.then(async () => {
				await receiver.kill();
				await receiver.start();
				restarts += 1;
			});
		}
		next();
	};
	next();
	const { code, stderr } = await each.send().ended;
	await restarting;
	t.is(code, 0, stderr);
	t.deepEqual([link.cuts, restarts], [20, 5]);
	t.true((stderr.match(/is back: going on/g) ?? []).length >= 20, stderr);
	t.is(children.seen.size, 1, 'one duplicate');
	const { regions, core } = await verified(t, each);
	t.true(regions.some(({ capture, bytes }) => capture === 'shared-live' && bytes >= 16 * MIB));
	// A link that began from the beginning each time would have carried many times as much.
	t.true(link.bytes < 4 * core.bytes, `${link.bytes} bytes were sent for ${core.bytes}`);
	t.log(`${link.connections} links, ${(link.bytes / core.bytes).toFixed(2)} times the core's bytes`);
	t.true(isFree(each.target.pid));
});

linkTest('a link that is cut before the receiver has kept anything: the same duplicate, in a transfer of its own',
	async (t) => {
	const each = await setting(t, 'reserve', 16, 12, 1);
	const { link, children } = each;
	link.onCut = () => { if (link.cuts < 2) link.cutAfter = MIB / 2; };
	link.cutAfter = MIB / 2;
	const { code, stderr } = await each.send().ended;
	t.is(code, 0, stderr);
	t.is(link.cuts, 2);
	t.is(children.seen.size, 1, 'one duplicate');
	await verified(t, each);
});

linkTest('the duplicate is there until the receiver has said that it has everything', async (t) => {
	const each = await setting(t, 'reserve', 16, 12, 1);
	const { link, target, children, out } = each;
	link.cutAfter = Infinity;
	const take = each.send();
	await eventually(() => (link.bytes > 6 * MIB ? true : undefined), 'half of it is sent');
	link.hold(true);
	await eventually(() => (link.bytes > 12 * MIB ? true : undefined), 'all of it is sent');
	const [id = ''] = underWayIn(out);
	await eventually(
		() => (readFileSync(join(out, '.incoming', id, 'core')).length > 12 * MIB ? true : undefined),
		'all of it has arrived'
	);
	for (let i = 0; i < 50; i++) {
		t.is(children.now(target.pid).length, 1);
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	link.hold(false);
	const { code, stderr } = await take.ended;
	t.is(code, 0, stderr);
	t.deepEqual(children.now(target.pid), []);
	await verified(t, each);
});

linkTest('--max-rate: no more than that, over the whole of it', async (t) => {
	const each = await setting(t, 'reserve', 4, 3, 1);
	const rate = 2 * MIB;
	let begunMs = 0;
	const take = each.send('--max-rate', '2M');
	// Not before the first bytes: what comes before them is not the link's.
	await eventually(() => { if (each.link.bytes > MIB / 4)
		begunMs = performance.now(); return begunMs > 0 ? true : undefined; }, 'it is sent');
	const { code, stderr } = await take.ended;
	t.is(code, 0, stderr);
	const seconds = (performance.now() - begunMs) / 1000;
	const { core } = await verified(t, each);
	t.true(seconds > 0.7 * (core.bytes - MIB / 2) / rate, `${core.bytes} bytes in ${seconds} s`);
});

linkTest('a receiver that is gone for good: an error that says so, and nothing is left of the duplicate', async (t) => {
	const each = await setting(t, 'reserve', 16, 12, 1);
	const take = each.send('--max-rate', '4M', '--patience', '1');
	await eventually(() => (each.link.bytes > 2 * MIB ? true : undefined), 'a part is sent');
	await each.receiver.kill();
	const { code, stderr } = await take.ended;
	t.is(code, 1, stderr);
	t.regex(
		stderr,
		/procsnap: the link to 127\.0\.0\.1:\d+ was lost for 1 s \(.*\): see to the receiver, and take the evidence again\n$/
	);
	t.deepEqual(each.children.now(each.target.pid), []);
	t.true(isFree(each.target.pid));
	t.deepEqual(keptIn(each.out), []);
});

linkTest('^C while it is sent: the exit code of the signal, and nothing is left of the duplicate', async (t) => {
	const each = await setting(t, 'reserve', 16, 12, 1);
	const take = each.send('--max-rate', '4M');
	await eventually(() => (each.link.bytes > 2 * MIB ? true : undefined), 'a part is sent');
	take.process.kill('SIGINT');
	const { code, stderr } = await take.ended;
	t.is(code, 130, stderr);
	t.deepEqual(each.children.now(each.target.pid), []);
	t.true(isFree(each.target.pid));
	t.deepEqual(keptIn(each.out), []);
});

linkTest('no receiver: nothing is done to the target', async (t) => {
	const each = await setting(t, 'reserve', 16, 12, 1);
	await each.receiver.kill();
	const { code, stderr } = await each.send().ended;
	t.is(code, 1);
	t.regex(
		stderr,
		/^(?:procsnap: made.*\n)?procsnap: no evidence can be sent to 127\.0\.0\.1:\d+: .*; nothing was taken\n$/
	);
	t.is(each.children.seen.size, 0);
});

test('what is wrong with the address or the options is said before anything is done', async (t) => {
	for (const [args, message] of [
		[['--to', 'lab'], /--to lab: it is HOST:PORT, with an IPv6 address in brackets/],
		[['--to', 'lab:70000'], /--to lab:70000: it is HOST:PORT/],
		[['--to', '::1:7447'], /--to ::1:7447: it is HOST:PORT/],
		[['--to', 'lab:7447', '--out', 'x'], /--out and --to: evidence goes to one place/],
		[['--to', 'lab:7447', '--max-rate', '10'], /--max-rate 10: it is a number of bytes from 16384 on/],
		[['--max-rate', '1M'], /give --to HOST:PORT/],
	] as const) {
		const { code, stderr } = await new Command(
			t, ['take', String(process.pid), '--key', join(temporaryFolder(t), 'key'), ...args]
		).ended;
		t.is(code, 2, stderr);
		t.regex(stderr, message);
	}
	const { code, stderr } = await new Command(
		t, [
			'take', String(process.pid), '--key', join(temporaryFolder(t), 'key'), '--to', '[::1]:7447', '--cert',
			'/nowhere',
		]
	).ended;
	t.is(code, 1, stderr);
	t.regex(stderr, /the link's .* cannot be read: ENOENT.*scripts\/certificates makes one/);
});
