// Node's net, by pipe: node node_pipe.js echo | proxy PORT
'use strict';

const net = require('net');

const behaviours = {
  echo(socket) {
    socket.pipe(socket);
  },

  proxy(near) {
    const far = net.connect({ port: Number(process.argv[3]), host: '127.0.0.1', noDelay: true });
    far.on('error', () => {});
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  },
};

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});  // the load generator leaves without a word
  behaviours[process.argv[2]](socket);
});
server.listen(0, '127.0.0.1', () => console.log('listening', server.address().port));
