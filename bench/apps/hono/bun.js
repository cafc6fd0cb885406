// SPDX-License-Identifier: Apache-2.0
import app from "./src/index.js";

export default { hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: app.fetch };
