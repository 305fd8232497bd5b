// One end of a connection, by Node's net: peer.js (connect|listen) MODE (PORT HOST | PATH)
//
// What it listens at is the first line of its output. An error's code goes to the standard error,
// and makes the status 1.
'use strict';

const net = require('net');

const modes = {
  // Its input goes out, what comes goes to its output; either end is passed on.
  copy(socket) {
    process.stdin.pipe(socket);
    socket.pipe(process.stdout);
  },

  echo(socket) {
    socket.pipe(socket);
  },

  // Reads to the end, and answers with the number of bytes.
  count(socket) {
    let count = 0;
    socket.on('data', (chunk) => { count += chunk.length; });
    socket.on('end', () => socket.end(String(count)));
  },

  // Resets the connection when something has come.
  reset(socket) {
    socket.once('data', () => socket.resetAndDestroy());
  },
};

const [role, mode, place, host] = process.argv.slice(2);
const address = host === undefined ? { path: place } : { port: Number(place), host };

function behave(socket) {
  socket.on('error', (error) => {
    console.error(error.code);
    process.exit(1);
  });
  modes[mode](socket);
}

if (role === 'connect') {
  behave(net.connect({ ...address, allowHalfOpen: true }));
} else {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    behave(socket);
  });
  server.listen(address, () => console.log(server.address().port ?? server.address()));
}
