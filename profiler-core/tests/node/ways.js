// Works in one function that many ways lead to, by chance: its callers alone tell them apart. Ends with its input.
'use strict';
const ROUNDS = 20000;

function work(seed) {
  let value = Number(seed) || 0;
  for (let number = 0; number < ROUNDS; number++) {
    value = (value * 31 + number) % 65521;
  }
  return value;
}

function descend(depth) {
  return depth > 0 ? descend(depth - 1) + 1 : work(depth);
}

class Base {
  constructor(seed) {
    this.seed = work(seed);
  }

  method() {
    return work(this.seed);
  }

  get value() {
    return work(this.seed);
  }

  set value(seed) {
    this.seed = work(seed);
  }

  static make(seed) {
    return work(seed);
  }

  valueOf() {
    return work(1);
  }

  toJSON() {
    return work(2);
  }

  *[Symbol.iterator]() {
    yield work(3);
  }
}

class Derived extends Base {
  constructor(seed) {
    super(seed);
  }

  method() {
    return super.method() + 1;
  }
}

const cheap = Object.create(Derived.prototype, { seed: { value: 1, writable: true } });
const twice = (inner) => (seed) => inner(seed) + 1;
const wrapped = twice(twice(work));
const bound = work.bind(null, 5);
const written = new Function('run', 'return run(7)');
const caught = new Proxy({}, { get: (target, name) => work(name.length) });

function* inner() {
  yield work(1);
}

function* outer() {
  yield* inner();
}

function failing() {
  throw work(1);
}

const ways = {
  recursion: () => descend(7),
  closures: () => wrapped(1),
  binding: () => bound(),
  application: () => work.apply(null, [2]),
  text: () => written(work),
  construction: () => new Derived(1),
  reflection: () => Reflect.construct(Base, [1], Derived),
  method: () => cheap.method(),
  getter: () => cheap.value,
  setter: () => {
    cheap.value = 1;
  },
  fixed: () => Derived.make(1),
  conversion: () => cheap + 1,
  json: () => JSON.stringify([cheap]),
  trap: () => caught.absent,
  generators: () => outer().next(),
  iteration: () => {
    for (const value of cheap) {
      return value;
    }
  },
  spread: () => [...cheap],
  mapping: () => [1].map(work),
  sort: () => [2, 1].sort((left, right) => work(left) - right),
  reduction: () => [1, 2].reduce((left, right) => work(left + right)),
  eachOf: () => new Map([[1, 2]]).forEach((value) => work(value)),
  replacement: () => 'a'.replace(/a/, (match) => work(match.length)),
  failure: () => {
    try {
      return failing();
    } catch (value) {
      return work(value);
    }
  },
};

let chance = 1;

function choose(all) {
  chance = (Math.imul(chance, 1103515245) + 12345) >>> 0;
  return all[(chance >>> 8) % all.length];
}

function run(times) {
  const all = Object.values(ways);
  for (let time = 0; time < times; time++) {
    choose(all)();
  }
}

let isOver = false;
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();

// A timer between, for the end of the input to be heard of.
function again() {
  run(200);
  if (!isOver) {
    setTimeout(again, 0);
  }
}
again();
