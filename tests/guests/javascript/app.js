// Attacks from JavaScript: one tool each, and an honest `echo` beside them.
//
// What is missing, and why:
// - threads, exiting, printing, files, sockets, arguments, input: this engine (QuickJS
//   as a component) offers a program none of them, not even `console`, which `probe`
//   shows by looking for every name under which JavaScript engines do;
// - tables, inner instances: JavaScript has no word for them.

import * as call from 'bulkhead:plugin/call@0.1.0';
import { now, subscribeDuration } from 'wasi:clocks/monotonic-clock@0.2.0';
import { getRandomBytes } from 'wasi:random/random@0.2.0';

const SECRET = 'hunter2';

// What an earlier call left behind.
let calls = 0;

const attacks = {
  echo: ({ message }) => message,

  spin() {
    for (;;);
  },

  recurse() {
    const deeper = (n) => deeper(n + 1) + 1;
    return String(deeper(0));
  },

  // Catches the end of its stack, again and again.
  recurse_caught() {
    const deeper = () => {
      try {
        deeper();
      } catch {
        deeper();
      }
    };
    deeper();
    return 'came back';
  },

  // Recursion in the engine's own code.
  nest({ depth }) {
    const text = '['.repeat(depth) + ']'.repeat(depth);
    return String(JSON.stringify(JSON.parse(text)).length);
  },

  backtrack() {
    return String(/^(a+)+$/.test(`${'a'.repeat(64)}b`));
  },

  hog_steps() {
    const held = [];
    for (;;) held.push(new Uint8Array(64 << 10).fill(1));
  },

  hog_objects() {
    const held = [];
    for (;;) held.push({ held });
  },

  hog_huge: ({ mib }) => String(new ArrayBuffer(mib * 2 ** 20).byteLength),

  // Is refused memory, catches that, and goes on with what it has.
  cope() {
    let held = [];
    try {
      for (;;) held.push(new Uint8Array(1 << 20).fill(1));
    } catch {
      held = held.length > 0 ? 'some' : 'no';
    }
    try {
      new ArrayBuffer(2 ** 30);
      return 'a GiB was granted';
    } catch {
      // What is left is good for a whole answer.
      return `coped after ${held} MiB: ${Array(1_000).fill(1).length}`;
    }
  },

  throw() {
    throw new Error(`the password is ${SECRET}`);
  },

  loud: ({ bytes }) => 'x'.repeat(bytes),

  log_flood({ times }) {
    for (let line = 0; line < times; line++) call.log('warning', `line ${line}\nforged: line`);
    return 'said it all';
  },

  progress_flood({ times }) {
    for (let step = 0; step < times; step++) call.progress(step, undefined, 'x'.repeat(64));
    return 'said it all';
  },

  clock_flood() {
    for (;;) now();
  },

  date_flood() {
    for (;;) Date.now();
  },

  random_flood() {
    for (;;) getRandomBytes(16);
  },

  sleep({ seconds }) {
    subscribeDuration(seconds * 1e9).block();
    return 'slept';
  },

  // Handles that are never given back.
  hoard({ handles }) {
    const held = [];
    while (held.length < handles) held.push(subscribeDuration(1));
    return `held ${held.length}`;
  },

  random_huge: ({ bytes }) => String(getRandomBytes(bytes).length),

  leave() {
    calls += 1;
    globalThis.leftBehind = (globalThis.leftBehind ?? 0) + 1;
    Object.prototype.leftBehindToo = (Object.prototype.leftBehindToo ?? 0) + 1;
    const counts = [calls, globalThis.leftBehind, {}.leftBehindToo];
    // Here, and not in the conversion of the result.
    delete Object.prototype.leftBehindToo;
    return counts.join(' ');
  },

  long_log({ bytes }) {
    call.log('warning', 'y'.repeat(bytes));
    return 'passed';
  },

  long_progress({ bytes }) {
    call.progress(1, undefined, 'y'.repeat(bytes));
    return 'passed';
  },

  long_question: ({ bytes }) => String(call.canAsk('y'.repeat(bytes))),

  // Goes on when it has answered: there is always one more job to do.
  jobs_forever() {
    const again = () => Promise.resolve().then(again);
    again();
    return 'answered';
  },

  // Answers when nobody ever does.
  promise_nothing: () => new Promise(() => {}),

  // Not text: half of a surrogate pair.
  half_text: () => '\ud800',

  many_blocks({ blocks }) {
    const block = { tag: 'text', val: { text: '' } };
    return { content: Array(blocks).fill(block) };
  },

  deep_json({ depth }) {
    return { content: [], structured: '['.repeat(depth) + ']'.repeat(depth) };
  },

  // Not what the contract says.
  wrong_type: () => ({ content: 7 }),

  // Looks for every name under which engines offer the outside. A dynamic `import`
  // is no way out: it is settled after the call, when nothing runs any more.
  probe() {
    const names = [
      'Bun', 'Deno', 'Java', 'WebAssembly', 'WebSocket', 'Worker', 'XMLHttpRequest', 'console',
      'fetch', 'load', 'module', 'os', 'process', 'read', 'readFile', 'require', 'scriptArgs', 'std',
    ];
    return JSON.stringify(names.filter((name) => name in globalThis));
  },
};

export const tools = {
  listTools() {
    return Object.keys(attacks).map((name) => ({
      name: `js_${name}`,
      description: `An attack: ${name}.`,
      inputSchema: '{"type":"object"}',
    }));
  },

  callTool(name, args) {
    const result = attacks[name.slice('js_'.length)](JSON.parse(args));
    const output = typeof result === 'string' ? text(result) : result;
    return output instanceof Promise ? output : { tag: 'done', val: output };
  },
};

function text(text) {
  return { content: [{ tag: 'text', val: { text } }] };
}
