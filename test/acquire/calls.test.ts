/** What both stops of the target did, the one for the duplicate and the one for its end, in one ledger. */
import test from 'ava';
import { withEnd } from '../../acquire/calls.ts';

const taken = {
	restartedCalls: 3, lengthenedTimeouts: 1, cutCalls: 1,
	calls: [
		{ call: 'epoll_wait', restarted: 3, lengthened: 1, cut: 0 },
		{ call: 'close', restarted: 0, lengthened: 0, cut: 1 },
	],
};
const end = {
	restartedCalls: 1, lengthenedTimeouts: 1, cutCalls: 2,
	calls: [
		{ call: 'epoll_wait', restarted: 1, lengthened: 1, cut: 0 },
		{ call: 'writev', restarted: 0, lengthened: 0, cut: 2 },
	],
};

test('the same calls are added up, and others come after them', (t) => {
	t.deepEqual(withEnd(taken, end), {
		restartedCalls: 4, lengthenedTimeouts: 2, cutCalls: 3,
		calls: [
			{ call: 'epoll_wait', restarted: 4, lengthened: 2, cut: 0 },
			{ call: 'close', restarted: 0, lengthened: 0, cut: 1 },
			{ call: 'writev', restarted: 0, lengthened: 0, cut: 2 },
		],
	});
	t.is(taken.calls[0]?.restarted, 3, 'what was counted before is not changed');
});

test('what a mechanism does not count stays unknown', (t) => {
	t.deepEqual(withEnd(null, end), { restartedCalls: null, lengthenedTimeouts: null, cutCalls: null, calls: null });
});
