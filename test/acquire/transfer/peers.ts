/** A receiver within this process, and peers of it that say what they like. */
import type { ExecutionContext } from 'ava';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Credentials } from '../../../acquire/transfer/credentials.ts';
import {
	receive, type Patience, type Receiver, type ReceiverEvent, type ReceiverOptions,
} from '../../../acquire/transfer/receiver.ts';
import { eventually } from '../../processes.ts';
import { temporaryFolder } from '../help.ts';
import { aKey, Authority, HOST, keptIn, sendSmall, underWayIn } from './help.ts';

export interface Setting {
	out: string; authority: Authority; receiver: Receiver; events: ReceiverEvent[]; ours: Credentials;
	refused: () => string[];
}

const BRIEF: Partial<Patience> = { helloMs: 20_000 };

export async function setting(
	t: ExecutionContext, options: Partial<Omit<ReceiverOptions, 'out' | 'said'>> = {},
	out = join(temporaryFolder(t), 'received')
): Promise<Setting> {
	const authority = new Authority(t, HOST, 'collector', 'other');
	const events: ReceiverEvent[] = [];
	const receiver = await receive({
		host: HOST, port: 0, out, credentials: authority.credentials(HOST), key: aKey(), mostBytes: 1 << 30,
		said: (event) => events.push(event), patience: BRIEF, ...options,
	});
	t.teardown(() => receiver.close());
	return {
		out, authority, receiver, events, ours: authority.credentials('collector'),
		refused: () => events.flatMap((event) => ('refused' in event ? [event.refused] : [])),
	};
}

/** It still does what it is there for. */
export async function lives(t: ExecutionContext, { out, receiver, ours }: Setting): Promise<void> {
	const before = keptIn(out);
	const name = await sendSmall(t, receiver.port, ours);
	t.deepEqual(keptIn(out).filter((each) => !before.includes(each)), [name]);
}

/** What was refused is taken away after it was said. */
export const nothingUnderWay = ({ out }: Setting): Promise<true> =>
	eventually(() => (underWayIn(out).length === 0 ? true : undefined), 'nothing is under way');

/** A peer that says what it likes, and all that it is answered. */
export async function say(
	port: number, credentials: Credentials, ...texts: Array<string | Uint8Array>
): Promise<string> {
	const socket = await tls(port, credentials);
	for (const text of texts) socket.write(text);
	return answered(socket);
}

export async function tls(
	port: number, credentials: Partial<Credentials>, localAddress?: string
): Promise<TLSSocket> {
	const socket = connectTls({
		host: HOST, port, ...credentials, rejectUnauthorized: false,
		...(localAddress === undefined ? {} : { localAddress }),
	}).on('error', () => {});
	await once(socket, 'secureConnect');
	return socket;
}

export async function answered(socket: Socket): Promise<string> {
	let said = '';
	socket.setEncoding('utf8').on('data', (text: string) => { said += text; });
	if (!socket.closed) await once(socket, 'close').catch(() => {});
	return said;
}

export const lineOf = (message: object): string => `${JSON.stringify(message)}\n`;

/** What openssl ca can do and scripts/certificates need not: any times, any authority. */
export function certificate(
	t: ExecutionContext, authority: Authority, times: string[]
): Pick<Credentials, 'cert' | 'key'> {
	const dir = temporaryFolder(t);
	const at = (name: string) => join(dir, name);
	execFileSync(
		'openssl',
		['req', '-newkey', 'ed25519', '-noenc', '-keyout', at('key'), '-out', at('request'), '-subj', '/CN=collector'],
		{ stdio: 'ignore' }
	);
	writeFileSync(at('index'), '');
	writeFileSync(at('serial'), '01\n');
	writeFileSync(
		at('config'),
		`[ca]\ndefault_ca=c\n[c]\ndatabase=${at('index')}\nserial=${at('serial')}\nnew_certs_dir=${dir}\ndefault_md=default\npolicy=p\n[p]\ncommonName=supplied\n`
	);
	execFileSync(
		'openssl',
		[
			'ca', '-batch', '-config', at('config'), '-cert', join(authority.dir, 'ca.crt'), '-keyfile',
			join(authority.dir, 'ca.key'), '-in', at('request'), '-out', at('cert'), '-notext', ...times,
		],
		{ stdio: 'ignore' }
	);
	return { cert: readFileSync(at('cert')), key: readFileSync(at('key')) };
}
