// SPDX-License-Identifier: Apache-2.0
// Edits on a text. Nothing adds or removes a line; `shifts` tells how columns moved.

// At one place the order is: what closes (inner first), what opens (outer first), what replaces.
const CLOSE = 0;
const OPEN = 1;
const REPLACE = 2;

export class Edits {
  constructor(text) {
    this.text = text;
    this.list = [];
  }

  // Push outer openings before inner ones, and inner closings before outer ones.
  open(at, text) {
    this.list.push({ key: at * 3 + OPEN, at, end: at, text });
  }

  close(at, text) {
    this.list.push({ key: at * 3 + CLOSE, at, end: at, text });
  }

  replace(at, end, text) {
    this.list.push({ key: at * 3 + REPLACE, at, end, text });
  }

  // Blanks [at, end) so that neither lines nor columns move. Begins with `first`.
  blank(at, end, first) {
    const blanks = this.text.slice(at + first.length, end).replace(/[^\n\r\u2028\u2029]/g, " ");
    this.replace(at, end, first + blanks);
  }

  // { text, shifts }: prefix goes before the first character, suffix behind the last.
  apply(prefix, suffix, starts) {
    const { text } = this;
    const list = this.list.sort((a, b) => a.key - b.key);
    const parts = [prefix];
    const shifts = prefix.length > 0 ? [1, prefix.length, -prefix.length] : [];
    let line = 0; // index into starts
    let moved = prefix.length; // transformed minus original column on that line
    let from = 0;
    for (const edit of list) {
      parts.push(text.slice(from, edit.at), edit.text);
      from = edit.end;
      const before = line;
      while (line + 1 < starts.length && starts[line + 1] <= edit.end) {
        line++;
      }
      if (line !== before) {
        moved = 0;
      }
      // A replacement that spans lines is a blank one: nothing moves on its last line.
      const grown = edit.at < starts[line] ? 0 : edit.text.length - (edit.end - edit.at);
      if (grown !== 0) {
        moved += grown;
        shifts.push(line + 1, edit.end - starts[line] + moved, -moved);
      }
    }
    parts.push(text.slice(from), suffix);
    return { text: parts.join(""), shifts };
  }
}
