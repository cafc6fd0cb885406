// SPDX-License-Identifier: Apache-2.0
import { engineMessage, errorPage } from "../differences.mjs";

export const requests = [
  { path: "/throw", status: 500, differs: errorPage },
  { path: "/reject", status: 500, differs: errorPage },
  { path: "/after-console", status: 500, differs: { ...errorPage, logs: engineMessage } },
  "/",
];

export default {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case "/throw":
        throw new TypeError("thrown");
      case "/reject":
        return Promise.reject(new RangeError("rejected"));
      case "/after-console":
        console.log("one line");
        null.missing;
    }
    return new Response("the next request is served");
  },
};
