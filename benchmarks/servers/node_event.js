// Node's net and tls, by events: node node_event.js echo | timeout | line | sink | fanout
// node node_event.js tls CERT KEY
'use strict';

const fs = require('fs');
const net = require('net');
const tls = require('tls');

const members = new Set();

const behaviours = {
  echo(socket) {
    socket.on('data', (data) => socket.write(data));
  },

  timeout(socket) {
    socket.setTimeout(60_000, () => socket.destroy());
    behaviours.echo(socket);
  },

  line(socket) {
    let rest = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) socket.write(line.toUpperCase() + '\n', 'latin1');
    });
  },

  sink(socket) {
    socket.resume();
  },

  fanout(socket) {
    members.add(socket);
    socket.on('close', () => members.delete(socket));
    socket.on('data', (message) => {
      for (const member of members) member.write(message);
    });
    socket.write('+');
  },
};

behaviours.tls = behaviours.echo;

function connected(socket) {
  socket.on('error', () => {});  // the load generator leaves without a word
  behaviours[process.argv[2]](socket);
}

const server = process.argv[2] === 'tls' ?
  tls.createServer({ noDelay: true, cert: fs.readFileSync(process.argv[3]),
                     key: fs.readFileSync(process.argv[4]) }, connected) :
  net.createServer({ noDelay: true }, connected);
server.listen(0, '127.0.0.1', () => console.log('listening', server.address().port));
