// SPDX-License-Identifier: Apache-2.0
import net from "node:net";

const FROM = 10000, PORTS = 22000, SHARE = 500;
const given = new Set(); // nobody may listen on them yet

// A port of loopback that is free, below those that the system gives to outgoing connections: one of them could have taken
// it before it is listened on. Each process begins in a part of its own, so that two that run beside each other do not choose the same.
export async function freePort() {
  const share = (process.pid % (PORTS / SHARE)) * SHARE;
  for (let tries = 0; ; tries++) {
    const port = FROM + (tries < 2 * SHARE ? share + Math.floor(Math.random() * SHARE) : Math.floor(Math.random() * PORTS));
    if (given.has(port)) continue;
    const free = await new Promise((done) => {
      const server = net.createServer().on("error", () => done(false));
      server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
    });
    if (!free) continue;
    given.add(port);
    return port;
  }
}
