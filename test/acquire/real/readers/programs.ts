/** The programs. */
import { asan, container, large } from './built.ts';
import { bash, node, python } from './scripted.ts';
import { nginx, postgres, redis } from './servers.ts';
import type { Program } from './types.ts';

export const PROGRAMS: readonly Program[] = [bash, python, node, redis, postgres, nginx, asan, container, large];
