/** What is somebody's stays theirs: a transfer, a folder; and the environment makes nobody known. */
import test from 'ava';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockOf } from '../../../acquire/transfer/incoming.ts';
import { receive } from '../../../acquire/transfer/receiver.ts';
import { lockFile, ProcsnapError } from '../../../native/index.ts';
import { eventually } from '../../processes.ts';
import { startTarget, temporaryFolder } from '../help.ts';
import { aKey, Authority, Command, HOST, keptIn, linkTest, ReceiverProcess, sendSmall, underWayIn } from './help.ts';
import { answered, lineOf, say, setting, tls } from './peers.ts';

linkTest('who knows a transfer\'s id and does not own it ends no link, and is told nothing', async (t) => {
	const each = await setting(t);
	const stranger = each.authority.credentials('other');
	const owner = await tls(each.receiver.port, each.ours);
	const greeted = once(owner, 'data') as Promise<[Buffer]>;
	owner.write(lineOf({ procsnap: 1 }));
	const { id } = JSON.parse((await greeted)[0].toString()) as { id: string };
	const refused = lineOf({ refused: 'no transfer of yours is under way by this id' });
	t.is(await say(each.receiver.port, stranger, lineOf({ procsnap: 1, resume: id })), refused);
	// The owner's link goes on: its next line is answered.
	owner.write(lineOf({ bytes: 'x' }));
	t.regex(await answered(owner), /a size that is no number of bytes/);
	const name = await sendSmall(t, each.receiver.port, each.ours);
	const kept = name.replace(/^.*-/, '');
	t.is(await say(each.receiver.port, stranger, lineOf({ procsnap: 1, resume: kept })), refused);
	const ofOwner = await say(each.receiver.port, each.ours, lineOf({ procsnap: 1, resume: kept }));
	t.is(ofOwner, lineOf({ id: kept, kept: name }));
});

linkTest('two receivers on one folder: the second refuses; when the first was killed, the next has it', async (t) => {
	const authority = new Authority(t, HOST, 'collector');
	const out = join(temporaryFolder(t), 'received');
	const options = ['--out', out, ...authority.options(HOST)];
	const first = new ReceiverProcess(t, options);
	await first.start();
	await t.throwsAsync(new ReceiverProcess(t, options).start(), {
		message: /another receiver keeps its evidence in .*received: two would .*; end that one, or name another folder/,
	});
	await first.kill();
	t.deepEqual(underWayIn(out), []);
	await first.start();
	await sendSmall(t, first.port, authority.credentials('collector'));
	t.is(keptIn(out).length, 1);
});

test('a folder that cannot be locked is locked by a file in it', (t) => {
	const dir = temporaryFolder(t);
	let asked = 0;
	const ofNetwork = (fd: number): boolean => {
		if (asked++ % 2 === 0) throw new ProcsnapError('EBADF', 'it cannot be locked: EBADF');
		return lockFile(fd);
	};
	t.is(typeof lockOf(dir, ofNetwork), 'number');
	t.is(lockOf(dir, ofNetwork), null);
	mkdirSync(join(dir, 'x'));
	t.throws(() => lockOf(join(dir, 'x'), () => { throw new ProcsnapError('ENOLCK', 'no'); }), { message: 'no' });
});

const INSECURE = { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' };

linkTest('NODE_TLS_REJECT_UNAUTHORIZED=0: a receiver that was not asked for gets nothing', async (t) => {
	const authority = new Authority(t, HOST, 'collector', 'other');
	const target = await startTarget(t, 'reserve', 4, 3, 1);
	const take = (port: number, whose: Authority) => new Command(t, [
		'take', String(target.pid), '--to', `${HOST}:${port}`, '--key', join(temporaryFolder(t), 'key'),
		...whose.options('collector'),
	], { environment: INSECURE }).ended;
	const out = temporaryFolder(t);
	const ofNoName = await receive({
		host: HOST, port: 0, out, credentials: authority.credentials('other'), key: aKey(), mostBytes: 1 << 30,
		said: () => {},
	});
	t.teardown(() => ofNoName.close());
	const wrongName = await take(ofNoName.port, authority);
	t.is(wrongName.code, 1);
	t.regex(wrongName.stderr, /does not match certificate's altnames.*nothing was taken/);
	const stranger = await take(ofNoName.port, new Authority(t, HOST, 'collector'));
	t.is(stranger.code, 1);
	t.regex(stranger.stderr, /no evidence can be sent to .*nothing was taken/);
	t.deepEqual([keptIn(out), underWayIn(out)], [[], []]);
});

linkTest('NODE_TLS_REJECT_UNAUTHORIZED=0: a receiver takes nothing from strangers', async (t) => {
	const authority = new Authority(t, HOST), out = join(temporaryFolder(t), 'received');
	const receiver = new ReceiverProcess(t, ['--out', out, ...authority.options(HOST)]);
	receiver.environment = INSECURE;
	await receiver.start();
	const stranger = new Authority(t, 'collector').credentials('collector');
	t.regex(await say(receiver.port, stranger, lineOf({ procsnap: 1 })), /"refused":"no known peer: its certificate/);
	const said = await eventually(() => receiver.events.find((event) => 'refused' in event), 'it is said');
	t.regex(String(said['refused']), /no known peer/);
	t.true(readFileSync(`${receiver.key}.pub`, 'utf8').includes('PUBLIC KEY'));
});
