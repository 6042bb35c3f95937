// Does work in alpha, beta and gamma: alpha and beta below calls of their own, which compilers inline; gamma below a sort,
// which is built in. When its input ends it says how many microseconds of CPU time each took.
'use strict';
const DEPTH = 20;
const ROUNDS = { alpha: 15000, beta: 5000, gamma: 5000 };
const took = { alpha: 0, beta: 0, gamma: 0 };

function clock() {
  const usage = process.cpuUsage();
  return usage.user + usage.system;
}

function alpha(seed) {
  let value = seed;
  for (let number = 0; number < ROUNDS.alpha; number++) {
    value = (value * 31 + number) % 65521;
  }
  return value;
}

function beta(seed) {
  let value = seed;
  for (let number = 0; number < ROUNDS.beta; number++) {
    value = (value * 31 + number) % 65521;
  }
  return value;
}

class Work {
  gamma(seed) {
    let value = seed;
    for (let number = 0; number < ROUNDS.gamma; number++) {
      value = (value * 31 + number) % 65521;
    }
    return value;
  }
}

function inlining(seed) {
  const began = clock();
  const first = alpha(seed);
  const between = clock();
  const second = beta(first);
  took.alpha += between - began;
  took.beta += clock() - between;
  return second;
}

function descend(depth, seed) {
  return depth > 0 ? descend(depth - 1, seed) : inlining(seed);
}

const work = new Work();

function run(times) {
  let value = 1;
  for (let time = 0; time < times; time++) {
    value = descend(DEPTH, value);
    const began = clock();
    [2, 1].sort(() => work.gamma(value) - 65521);
    took.gamma += clock() - began;
  }
  return value;
}

let isOver = false;
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();

// A timer between, for the end of the input to be heard of.
const again = () => {
  run(200);
  if (!isOver) {
    setTimeout(again, 0);
    return;
  }
  for (const name of ['alpha', 'beta', 'gamma']) {
    console.log(name, String(took[name]));
  }
};
again();
