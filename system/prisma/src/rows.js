// SPDX-License-Identifier: Apache-2.0
// Rows have so much memory together: where there is no more, only the statement that began first goes on, and the requests that have few. A
// request whose rows do not end is given up.

const AT_ONCE = 4, // of what one request may have: who needs more waits for who began before
  FEW = 32, // … unless it is less than this part
  AT_MOST = 3; // times that, of all: who has more than few is given up

let max = 0, all = 0; // bytes
const underWay = new Set(); // connections whose statement has rows, in the order in which they began
const waiting = []; // functions that let them look again

function lookAgain() {
  for (const look of waiting.splice(0)) look();
}

// Of one request, or of an interactive transaction's requests that run at once: they are there until nobody holds them any more.
export class Rows {
  #bytes = 0;
  #holders = 0; // requests, and statements

  static limit(bytes) {
    max = bytes;
  }

  hold() {
    this.#holders++;
  }

  letGo() {
    if (--this.#holders > 0) return;
    this.add(-this.#bytes);
    lookAgain();
  }

  add(bytes) {
    this.#bytes += bytes;
    all += bytes;
  }

  // A connection's statement has some.
  begin(connection) {
    if (underWay.has(connection)) return;
    underWay.add(connection);
    this.hold();
  }

  end(connection) {
    if (!underWay.delete(connection)) return;
    this.letGo();
    lookAgain();
  }

  get areTooMany() {
    return this.#bytes > max || (this.#areMany && all > AT_MOST * max);
  }

  get #areMany() {
    return this.#bytes > max / FEW;
  }

  // Is there too little room for all, and is it one of those that fill it?
  #waits(connection) {
    const [first] = underWay;
    return all > max / AT_ONCE && this.#areMany && !this.areTooMany && underWay.has(connection) && first !== connection;
  }

  // Resolves when there is room for what that connection has brought, or when nobody wants it any more.
  async room(connection) {
    while (this.#waits(connection)) await new Promise((look) => waiting.push(look));
  }
}
