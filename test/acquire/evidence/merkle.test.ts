import { createHash } from 'node:crypto';
import test from 'ava';
import { HASH_BYTES, leafHash, Root, rootHash } from '../../../acquire/evidence/merkle.ts';

/**
 * The test vectors of Certificate Transparency's reference implementation: inputs, and the roots of the first 1 to 8
 * of them.
 */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
	'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
	'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
	'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
	'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
	'4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
	'76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
	'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
	'5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
/** SHA-256 of nothing. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

/** RFC 6962, 2.1, to the letter. */
function naive(inputs: readonly Uint8Array[]): Buffer {
	const [first] = inputs;
	if (first === undefined) return sha256();
	if (inputs.length === 1) return sha256(Buffer.from([0]), first);
	const k = 2 ** Math.ceil(Math.log2(inputs.length) - 1);
	return sha256(Buffer.from([1]), naive(inputs.slice(0, k)), naive(inputs.slice(k)));
}

const leavesOf = (inputs: readonly Uint8Array[]): Buffer => Buffer.concat(inputs.map(leafHash));
const chunks = (count: number): Buffer[] => Array.from({ length: count }, (_, index) => Buffer.from(`chunk ${index}`));

test('the roots of RFC 6962\'s known trees', (t) => {
	t.is(rootHash(Buffer.alloc(0)).toString('hex'), EMPTY);
	ROOTS.forEach((root, index) => {
		const inputs = INPUTS.slice(0, index + 1).map((input) => Buffer.from(input, 'hex'));
		t.is(naive(inputs).toString('hex'), root, 'the check itself');
		t.is(rootHash(leavesOf(inputs)).toString('hex'), root, `${index + 1} leaves`);
	});
});

test('trees of all sizes, as the RFC defines them', (t) => {
	for (const count of [...Array(70).keys(), 127, 128, 129, 1000]) {
		t.is(Buffer.compare(rootHash(leavesOf(chunks(count))), naive(chunks(count))), 0, `${count} leaves`);
	}
});

test('a root can be asked for at any time, and more leaves added', (t) => {
	const root = new Root();
	for (const [index, chunk] of chunks(40).entries()) {
		root.add(leafHash(chunk));
		t.is(Buffer.compare(root.digest(), naive(chunks(index + 1))), 0, `${index + 1} leaves`);
	}
});

test('a leaf that comes in memory that is used again is kept', (t) => {
	const root = new Root(), room = Buffer.alloc(HASH_BYTES);
	for (const chunk of chunks(3)) {
		leafHash(chunk).copy(room);
		root.add(room);
	}
	t.is(Buffer.compare(root.digest(), naive(chunks(3))), 0);
});

test('a leaf cannot be taken for a node, nor leaves in another order for these', (t) => {
	const leaves = leavesOf(chunks(2));
	t.not(leafHash(leaves).toString('hex'), rootHash(leaves).toString('hex'));
	t.not(rootHash(leavesOf(chunks(2).reverse())).toString('hex'), rootHash(leaves).toString('hex'));
	t.not(
		rootHash(leavesOf([...chunks(3), ...chunks(3).slice(2)])).toString('hex'),
		rootHash(leavesOf(chunks(3))).toString('hex'), 'the last leaf twice'
	);
});

test('what is no whole number of hashes is refused', (t) => {
	for (const bytes of [1, 31, 33, 63])
		t.throws(() => rootHash(Buffer.alloc(bytes)), { message: new RegExp(`^${bytes} bytes are no whole number`) });
});
