/** Apart from the other arguments: it loads the mechanisms and the native core, which receive and verify do without. */
import type { Option } from '../common/options.ts';
import { forEvidence } from '../mechanisms/shared/all.ts';

const NAMES = forEvidence().map(({ name }) => name).join(' or ');

/** Of the verbs that copy a process. */
export const MECHANISM: Option = {
	kind: 'one', value: 'NAME', help: `${NAMES} (default: the first that this machine has)`,
};

/** Of those that know what to do where one gives up. */
export const MECHANISMS: Option = {
	kind: 'many', value: 'NAMES',
	help: `${NAMES} and no other; or some of them with commas, in the order in which they are tried`,
};
