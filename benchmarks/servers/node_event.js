// Node's net, by events: node node_event.js echo | timeout | line | sink | fanout
'use strict';

const net = require('net');

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

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});  // the load generator leaves without a word
  behaviours[process.argv[2]](socket);
});
server.listen(0, '127.0.0.1', () => console.log('listening', server.address().port));
