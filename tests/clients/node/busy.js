// A busy program under @pyroscope/nodejs: it sends wall and CPU profiles to PYROSCOPE_SERVER_ADDRESS while it
// runs, and the rest when it ends.
'use strict';

const Pyroscope = require('@pyroscope/nodejs');

const UPLOAD_INTERVAL_MS = 3000;

function hash(seed) {
  let value = seed;
  for (let i = 0; i < 100000; i += 1) {
    value = (Math.imul(value, 1664525) + 1013904223) | 0;
  }
  return value;
}

function burnCpuWhileRunning(milliseconds) {
  const until = Date.now() + milliseconds;
  let value = 1;
  while (Date.now() < until) value = hash(value);
  return value;
}

function burnCpuBeforeExit(milliseconds) {
  const until = Date.now() + milliseconds;
  let value = 2;
  while (Date.now() < until) value = hash(value);
  return value;
}

// Short turns, so that the profiler's timer gets its own in between.
async function inTurns(work, milliseconds) {
  const until = Date.now() + milliseconds;
  while (Date.now() < until) {
    work(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function main() {
  Pyroscope.init({
    serverAddress: process.env.PYROSCOPE_SERVER_ADDRESS,
    appName: process.env.PYROSCOPE_APPLICATION_NAME,
    tags: { region: 'eu-west' },
    flushIntervalMs: UPLOAD_INTERVAL_MS,
    wall: { collectCpuTime: true },
  });
  Pyroscope.start();
  await inTurns(burnCpuWhileRunning, UPLOAD_INTERVAL_MS + 1000);
  await inTurns(burnCpuBeforeExit, 1000);
  await Pyroscope.stop();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
