// SPDX-License-Identifier: Apache-2.0
// A binding of [[hyperdrive]]: how drivers reach its database, through the pool. The pool knows the
// worker by its channel, so the password is none: drivers want one that is not empty.

import { ObjectDefineProperty, SymbolToStringTag } from "./primordials.js";
import { connect, declareDatabase } from "./sockets.js";

const PORT = 5432, PASSWORD = "by-channel";

export class Hyperdrive {
  constructor({ host, user, database }) {
    this.host = host;
    this.port = PORT;
    this.user = user;
    this.password = PASSWORD;
    this.database = database;
    this.connectionString =
      `postgresql://${encodeURIComponent(user)}:${PASSWORD}@${host}:${PORT}/${encodeURIComponent(database)}?sslmode=disable`;
    declareDatabase(host);
  }

  connect() {
    return connect({ hostname: this.host, port: this.port });
  }
}
ObjectDefineProperty(Hyperdrive.prototype, SymbolToStringTag, { value: "Hyperdrive", configurable: true });
