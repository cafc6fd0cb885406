// SPDX-License-Identifier: Apache-2.0
import net from "node:net";

// A port of loopback that is free, below those that the system gives to outgoing connections: one of them could have taken
// it before it is listened on.
export async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 22000);
    const free = await new Promise((done) => {
      const server = net.createServer().on("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (free) return port;
  }
}
