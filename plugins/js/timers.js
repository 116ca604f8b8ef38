// Timers without waiting: what was set runs in the order of its time once nothing else is left
// to do. A call is short, and sleeping would only use up its deadline.

let now = 0;
let last = 0;
const timers = [];

function set(repeats) {
  return (callback, delay, ...args) => {
    last += 1;
    const wait = Math.max(Number(delay) || 0, 1);
    timers.push({ id: last, due: now + wait, every: repeats ? wait : undefined, callback, args });
    return last;
  };
}

function clear(id) {
  const at = timers.findIndex((timer) => timer.id === id);
  if (at !== -1) timers.splice(at, 1);
}

export const globals = {
  setTimeout: set(false),
  setInterval: set(true),
  clearTimeout: clear,
  clearInterval: clear,
};

/** Runs the timer that is due next; `false` where there is none. */
export function runTimer() {
  if (timers.length === 0) return false;
  let first = timers[0];
  for (const timer of timers) if (timer.due < first.due) first = timer;
  now = first.due;
  if (first.every === undefined) clear(first.id);
  else first.due += first.every;
  first.callback(...first.args);
  return true;
}
