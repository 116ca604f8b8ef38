// A `Promise` whose reactions run when `runJobs` is told to.
//
// A call is answered when its function returns, and the engine runs what hangs on its own
// promises only after that. So the SDK brings a `Promise` of its own, and `build.mjs` has
// `async` and `await` written in terms of it.

let jobs = [];
let next = 0;

/** Runs what is due until `done()` says that it is enough, or nothing is due any more. */
export function runJobs(done) {
  // The queue grows while it is run, and `shift` would move all of it each time.
  while (next < jobs.length && !done()) {
    const job = jobs[next];
    jobs[next] = undefined;
    next += 1;
    job();
  }
  jobs = jobs.slice(next);
  next = 0;
}

export function queueMicrotask(job) {
  jobs.push(job);
}

export class Promise {
  /** `pending`, `fulfilled` or `rejected`; `settled` is the value or the reason. */
  #state = "pending";
  #settled;
  #reactions = [];

  constructor(executor) {
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  // What settles this promise: the first call of either counts.
  #resolvers() {
    let called = false;
    const once = (settle) => (value) => {
      if (called) return;
      called = true;
      settle(value);
    };
    return {
      resolve: once((value) => this.#resolve(value)),
      reject: once((reason) => this.#settle("rejected", reason)),
    };
  }

  #resolve(value) {
    if (value === this) {
      this.#settle("rejected", new TypeError("a promise cannot be resolved with itself"));
      return;
    }
    let then;
    try {
      then = value !== null && /^(object|function)$/.test(typeof value) ? value.then : undefined;
    } catch (error) {
      this.#settle("rejected", error);
      return;
    }
    if (typeof then !== "function") {
      this.#settle("fulfilled", value);
      return;
    }
    jobs.push(() => {
      const { resolve, reject } = this.#resolvers();
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  #settle(state, value) {
    this.#state = state;
    this.#settled = value;
    for (const reaction of this.#reactions) jobs.push(reaction);
    this.#reactions = [];
  }

  then(onFulfilled, onRejected) {
    return new Promise((resolve, reject) => {
      const react = () => {
        const handler = this.#state === "fulfilled" ? onFulfilled : onRejected;
        if (typeof handler !== "function") {
          (this.#state === "fulfilled" ? resolve : reject)(this.#settled);
          return;
        }
        try {
          resolve(handler(this.#settled));
        } catch (error) {
          reject(error);
        }
      };
      if (this.#state === "pending") this.#reactions.push(react);
      else jobs.push(react);
    });
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(cleanUp) {
    if (typeof cleanUp !== "function") return this.then(cleanUp, cleanUp);
    return this.then(
      (value) => Promise.resolve(cleanUp()).then(() => value),
      (reason) =>
        Promise.resolve(cleanUp()).then(() => {
          throw reason;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static resolve(value) {
    return value instanceof Promise ? value : new Promise((resolve) => resolve(value));
  }

  static reject(reason) {
    return new Promise((_, reject) => reject(reason));
  }

  static try(callback, ...args) {
    return new Promise((resolve) => resolve(callback(...args)));
  }

  static withResolvers() {
    let resolvers;
    const promise = new Promise((resolve, reject) => {
      resolvers = { resolve, reject };
    });
    return { promise, ...resolvers };
  }

  static race(promises) {
    return new Promise((resolve, reject) => {
      for (const promise of promises) Promise.resolve(promise).then(resolve, reject);
    });
  }

  static all(promises) {
    return collect(promises, (slot, values, one, resolve, reject) =>
      one.then((value) => {
        values[slot] = value;
        resolve();
      }, reject),
    );
  }

  static allSettled(promises) {
    return collect(promises, (slot, values, one, resolve) =>
      one.then(
        (value) => {
          values[slot] = { status: "fulfilled", value };
          resolve();
        },
        (reason) => {
          values[slot] = { status: "rejected", reason };
          resolve();
        },
      ),
    );
  }

  static any(promises) {
    return new Promise((resolve, reject) => {
      const failed = collect(promises, (slot, reasons, one, settle) =>
        one.then(resolve, (reason) => {
          reasons[slot] = reason;
          settle();
        }),
      );
      failed.then((reasons) => reject(new AggregateError(reasons, "every promise was rejected")));
    });
  }

  /** What became of a promise of this class: `{state, value}`; `undefined` for anything else. */
  static inspect(promise) {
    if (typeof promise !== "object" || promise === null || !(#state in promise)) return undefined;
    return { state: promise.#state, value: promise.#settled };
  }
}

// A promise of one value per promise, each put in its place by `wait`.
function collect(promises, wait) {
  return new Promise((resolve, reject) => {
    const values = [];
    let missing = 1;
    const done = () => {
      missing -= 1;
      if (missing === 0) resolve(values);
    };
    let slot = 0;
    for (const promise of promises) {
      missing += 1;
      wait(slot++, values, Promise.resolve(promise), done, reject);
    }
    done();
  });
}
