// What the code that `lower.js` makes calls: async functions and async generators that are
// driven by the SDK's promises.

import { Promise } from "bulkhead-sdk/promise";

const { apply } = Reflect;

/** What an async generator yields where its source has `await`. */
class Await {
  constructor(value) {
    this.value = value;
  }
}

/** An async function: a promise of what the generator returns. */
function run(generator, self, args) {
  return new Promise((resolve, reject) => {
    const steps = apply(generator, self, args);
    const step = (how, value) => {
      let now;
      try {
        now = steps[how](value);
      } catch (error) {
        reject(error);
        return;
      }
      if (now.done) resolve(now.value);
      else follow(now.value, step);
    };
    step("next");
  });
}

/** An async generator: calls of `next` are served one after the other. */
function stream(generator, self, args) {
  const steps = apply(generator, self, args);
  let last = Promise.resolve();
  const request = (how, value) => {
    const answer = () =>
      new Promise((resolve, reject) => {
        const step = (how, value) => {
          let now;
          try {
            now = steps[how](value);
          } catch (error) {
            reject(error);
            return;
          }
          if (now.value instanceof Await && !now.done) follow(now.value.value, step);
          else Promise.resolve(now.value).then((value) => resolve({ value, done: now.done }), reject);
        };
        step(how, value);
      });
    last = last.then(answer, answer);
    return last;
  };
  return {
    next: (value) => request("next", value),
    throw: (error) => request("throw", error),
    return: (value) => request("return", value),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function follow(value, step) {
  Promise.resolve(value).then(
    (value) => step("next", value),
    (error) => step("throw", error),
  );
}

/** What `for await` asks for the next value. */
function iterate(items) {
  const async = items[Symbol.asyncIterator];
  if (async) return apply(async, items, []);
  const sync = items[Symbol.iterator]();
  return {
    next() {
      const { done, value } = sync.next();
      return Promise.resolve(value).then((value) => ({ done, value }));
    },
  };
}

/** `yield*` of an async generator. */
function* delegate(items) {
  const inner = iterate(items);
  for (;;) {
    const { done, value } = yield new Await(inner.next());
    if (done) return value;
    yield value;
  }
}

export const helpers = { run, stream, iterate, delegate, Await };
