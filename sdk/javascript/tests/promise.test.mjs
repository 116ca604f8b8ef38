// The SDK's `Promise` does what the engine's does, in the same order, whenever it is told to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Promise as Ours, runJobs } from "../promise.js";

/** What a program said, in order; `Promise` is the one under test. */
const programs = {
  order(Promise, say) {
    say("start");
    Promise.resolve(1).then(say).then(() => say("after"));
    new Promise((resolve) => resolve(Promise.resolve(2))).then(say);
    Promise.resolve().then(() => say("third"));
    say("end");
  },
  rejection(Promise, say) {
    Promise.reject(new Error("no")).catch((error) => say(error.message));
    new Promise(() => {
      throw new Error("thrown");
    }).then(say, (error) => say(error.message));
    Promise.resolve()
      .finally(() => say("finally"))
      .then(() => {
        throw new Error("later");
      })
      .then(say)
      .catch((error) => say(error.message));
  },
  settledOnce(Promise, say) {
    new Promise((resolve, reject) => {
      resolve("first");
      reject("second");
      throw new Error("third");
    }).then(say, say);
  },
  itself(Promise, say) {
    const { promise, resolve } = Promise.withResolvers();
    resolve(promise);
    promise.catch((error) => say(error.name));
  },
  thenables(Promise, say) {
    Promise.resolve({ then: (resolve) => resolve("thenable") }).then(say);
    Promise.resolve({
      get then() {
        throw new Error("hostile");
      },
    }).catch((error) => say(error.message));
  },
  combinators(Promise, say) {
    const one = Promise.resolve(1);
    const no = Promise.reject("no");
    const tell = (value) => say(JSON.stringify(value));
    Promise.all([one, 2, one]).then(tell);
    Promise.all([]).then(tell);
    Promise.all([one, no]).catch(say);
    Promise.allSettled([one, no]).then(tell);
    Promise.any([no, one]).then(say);
    Promise.any([no]).catch(({ errors }) => tell(errors));
    Promise.race([new Promise(() => {}), one]).then(say);
    Promise.try((a) => a + 1, 1).then(say);
  },
};

for (const [name, program] of Object.entries(programs)) {
  test(name, async () => {
    const ours = [];
    program(Ours, (value) => ours.push(value));
    runJobs(() => false);

    const theirs = [];
    Promise.try ??= (callback, ...args) => new Promise((resolve) => resolve(callback(...args)));
    Promise.withResolvers ??= () => {
      let resolvers;
      const promise = new Promise((resolve, reject) => {
        resolvers = { resolve, reject };
      });
      return { promise, ...resolvers };
    };
    program(Promise, (value) => theirs.push(value));
    await new Promise((resolve) => setTimeout(resolve));
    // Combinators may interleave in another order.
    const sorted = name === "combinators" ? (list) => list.toSorted() : (list) => list;
    assert.ok(theirs.length > 0);
    assert.deepEqual(sorted(ours), sorted(theirs));
  });
}
