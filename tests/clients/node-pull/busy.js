// A busy program that has profiles for whoever asks: @pyroscope/nodejs in its pull mode, under Express. It says where it
// listens, and runs until it is killed.
'use strict';

const express = require('express');
const Pyroscope = require('@pyroscope/nodejs');

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

Pyroscope.init({ appName: 'target', wall: { collectCpuTime: true } });
const app = express();
app.use(Pyroscope.default.expressMiddleware());
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening 127.0.0.1:${server.address().port}`);
});
// Short turns, so that requests get their own in between.
setInterval(() => burnCpuWhileRunning(50), 100);
