// Node: node_probe.js client | connect | race PORT SECONDS, node_probe.js blocklist | emit SECONDS
'use strict';

const { EventEmitter } = require('events');
const net = require('net');

const SECONDS = Number(process.argv.at(-1));
const BATCH = 100;

const MESSAGE = Buffer.alloc(1000, 'x');

// The processor's time is of the last steps only, as the others do not count.
let used = process.cpuUsage();
let steps = 0;

function report(perSecond) {
  const { user, system } = process.cpuUsage(used);
  const each = (user + system) / steps;
  console.log(JSON.stringify({ per_second: perSecond, cpu_us_per_message: each,
                               per_cpu_second: 1e6 / each }));
}

// Steps in a second, after a tenth of the time that does not count.
function rate(step) {
  let count, began, now;
  for (const length of [SECONDS / 10, SECONDS]) {
    count = 0;
    used = process.cpuUsage();
    began = now = performance.now();
    while (now < began + 1000 * length) {
      for (let i = 0; i < BATCH; i++) step();
      count += BATCH;
      now = performance.now();
    }
  }
  steps = count;
  return count / (now - began) * 1000;
}

function connectAll(host, length, talks, done) {
  // Two addresses for a name; on the first nobody listens.
  const lookup = (hostname, options, callback) =>
    callback(null, [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }]);
  const began = performance.now();
  let count = 0;
  used = process.cpuUsage();
  (function next() {
    const now = performance.now();
    steps = count;
    if (now >= began + 1000 * length) return done(count / (now - began) * 1000);
    const socket = net.connect({ port: Number(process.argv[3]), host, lookup,
                                 autoSelectFamily: true });
    socket.on('connect', () => {
      count++;
      if (!talks) return socket.destroy();
      let left = MESSAGE.length;
      socket.on('data', (data) => {
        left -= data.length;
        if (!left) socket.destroy();
      });
      socket.setNoDelay(true);
      socket.write(MESSAGE);
    });
    socket.on('close', next);
  })();
}

function connectTo(host, talks = false) {
  connectAll(host, SECONDS / 10, talks, () => connectAll(host, SECONDS, talks, report));
}

const measured = {
  client: () => connectTo('127.0.0.1', true),
  connect: () => connectTo('127.0.0.1'),
  race: () => connectTo('two.test'),

  blocklist() {
    const rules = new net.BlockList();
    for (let number = 0; number < 100; number++) {
      rules.addAddress(`10.0.0.${number}`);
      rules.addRange(`10.1.${number}.0`, `10.1.${number}.9`);
      rules.addSubnet(`10.2.${number}.0`, 24);
    }
    report(rate(() => rules.check('192.168.0.1')));
  },

  emit() {
    const emitter = new EventEmitter();
    emitter.on('data', () => {});
    report(rate(() => emitter.emit('data', 'x')));
  },
};

measured[process.argv[2]]();
