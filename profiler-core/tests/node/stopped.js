// Stops itself below calls of each kind: from JavaScript, from a sort, which is built in, and in a generator.
'use strict';
const fs = require('fs');

function stopHere() {
  fs.writeSync(2, `${process.pid}\n`);
  process.kill(process.pid, 'SIGSTOP');
  return 0;
}

class Shop {
  sort() {
    return [2, 1].sort(stopHere);
  }
}

function* generate(shop) {
  yield shop.sort();
}

function consume(shop) {
  return Array.from(generate(shop));
}

function descend(depth, shop) {
  return depth ? descend(depth - 1, shop) : consume(shop);
}

descend(5, new Shop());
