// SPDX-License-Identifier: Apache-2.0
// Event, EventTarget and the event classes of a worker. There is no tree: an event's path is its
// target. https://dom.spec.whatwg.org/#events

import {
  ArrayPush,
  ArraySlice,
  MapGet,
  MapSet,
  Map,
  Object,
  ObjectDefineProperty,
  ObjectSetPrototypeOf,
  TypeError,
} from "./primordials.js";
import { asyncContextEnabled, bind } from "./async-context.js";
import { platform } from "./native.js";
import { DOMException } from "./dom-exception.js";
import {
  defineInterface,
  isObject,
  requireArguments,
  toDictionary,
  toDOMString,
  toUnsignedLong,
  toUnsignedShort,
  toUSVString,
} from "./webidl.js";

const NONE = 0, CAPTURING_PHASE = 1, AT_TARGET = 2, BUBBLING_PHASE = 3;

// Friends of Event, for dispatch below.
let eventBegin, eventEnter, eventEnd, eventStopped, eventInPassive, eventBusy;
let isTrustedDescriptor, isEvent;

export class Event {
  #type;
  #bubbles = false;
  #cancelable = false;
  #composed = false;
  #target = null;
  #currentTarget = null;
  #phase = NONE;
  #trusted = false;
  #dispatching = false;
  #stopPropagation = false;
  #stopImmediate = false;
  #canceled = false;
  #inPassive = false;
  #timeStamp = platform.now();

  constructor(type, init = undefined) {
    requireArguments(arguments.length, 1, "Event constructor");
    this.#type = toDOMString(type);
    const options = toDictionary(init, "The event's init");
    if (options !== undefined) {
      this.#bubbles = !!options.bubbles;
      this.#cancelable = !!options.cancelable;
      this.#composed = !!options.composed;
    }
    ObjectDefineProperty(this, "isTrusted", isTrustedDescriptor);
  }

  get type() {
    return this.#type;
  }

  get target() {
    return this.#target;
  }

  get srcElement() {
    return this.#target;
  }

  get currentTarget() {
    return this.#currentTarget;
  }

  composedPath() {
    return this.#currentTarget === null ? [] : [this.#currentTarget];
  }

  get eventPhase() {
    return this.#phase;
  }

  stopPropagation() {
    this.#stopPropagation = true;
  }

  get cancelBubble() {
    return this.#stopPropagation;
  }

  set cancelBubble(value) {
    if (value) this.#stopPropagation = true;
    else this.#type; // brand check
  }

  stopImmediatePropagation() {
    this.#stopPropagation = true;
    this.#stopImmediate = true;
  }

  get bubbles() {
    return this.#bubbles;
  }

  get cancelable() {
    return this.#cancelable;
  }

  get returnValue() {
    return !this.#canceled;
  }

  set returnValue(value) {
    if (!value) this.preventDefault();
    else this.#type; // brand check
  }

  preventDefault() {
    if (this.#cancelable && !this.#inPassive) this.#canceled = true;
  }

  get defaultPrevented() {
    return this.#canceled;
  }

  get composed() {
    return this.#composed;
  }

  get timeStamp() {
    return this.#timeStamp;
  }

  initEvent(type, bubbles = false, cancelable = false) {
    requireArguments(arguments.length, 1, "'initEvent' on 'Event'");
    const text = toDOMString(type);
    if (this.#dispatching) return;
    this.#stopPropagation = this.#stopImmediate = this.#canceled = false;
    this.#trusted = false;
    this.#target = null;
    this.#type = text;
    this.#bubbles = !!bubbles;
    this.#cancelable = !!cancelable;
  }

  static {
    eventBusy = (event) => event.#dispatching;
    eventBegin = (event, target, trusted) => {
      event.#trusted = trusted;
      event.#dispatching = true;
      event.#target = target;
      event.#currentTarget = target;
      event.#phase = AT_TARGET;
    };
    eventStopped = (event) => event.#stopImmediate;
    eventEnter = (event) => event.#stopPropagation;
    eventInPassive = (event, passive) => {
      event.#inPassive = passive;
    };
    eventEnd = (event) => {
      event.#phase = NONE;
      event.#currentTarget = null;
      event.#dispatching = event.#stopPropagation = event.#stopImmediate = false;
      return !event.#canceled;
    };
    isEvent = (value) => isObject(value) && #type in value;
    const isTrusted = {
      get isTrusted() {
        return this.#trusted;
      },
    };
    isTrustedDescriptor = Object.getOwnPropertyDescriptor(isTrusted, "isTrusted");
    isTrustedDescriptor.configurable = false;
    isTrustedDescriptor.enumerable = true;
  }
}
defineInterface(Event, "Event", { constants: { NONE, CAPTURING_PHASE, AT_TARGET, BUBBLING_PHASE } });

// Dispatches an event of the platform's own making; false when it was cancelled.
export function dispatchTrusted(target, event) {
  return dispatch(target, event, true);
}

function dispatch(target, event, trusted) {
  eventBegin(event, target, trusted);
  const listeners = listenersOf(target);
  const list = listeners === undefined ? undefined : MapGet.call(listeners, event.type);
  if (list !== undefined && list.length > 0) {
    const snapshot = ArraySlice.call(list); // one that is added meanwhile waits for the next event
    invoke(target, event, snapshot, true);
    invoke(target, event, snapshot, false);
  }
  return eventEnd(event);
}

function invoke(target, event, snapshot, capture) {
  if (eventEnter(event)) return;
  for (let i = 0; i < snapshot.length; i++) {
    const listener = snapshot[i];
    if (listener.removed || listener.capture !== capture) continue;
    if (listener.once) removeListener(target, listener);
    eventInPassive(event, listener.passive);
    try {
      listener.run(target, event);
    } catch (error) {
      platform.reportException(error);
    }
    eventInPassive(event, false);
    if (eventStopped(event)) return;
  }
}

class Listener {
  removed = false;

  constructor(type, callback, capture, once, passive) {
    this.type = type;
    this.callback = callback;
    this.capture = capture;
    this.once = once;
    this.passive = passive;
    // It runs in the asynchronous context of who added it.
    if (asyncContextEnabled()) this.run = bind(this.run);
  }

  run(target, event) {
    const { callback } = this;
    if (typeof callback === "function") {
      callback.call(target, event);
      return;
    }
    const { handleEvent } = callback;
    if (typeof handleEvent !== "function")
      throw new TypeError("The listener's handleEvent is not a function");
    handleEvent.call(callback, event);
  }
}

// An `on…` attribute: it keeps its place among the listeners while its function changes.
class HandlerListener extends Listener {
  run(target, event) {
    const { callback } = this;
    if (typeof callback !== "function") return;
    if (event instanceof ErrorEvent && event.type === "error" && target === globalThis) {
      const { message, filename, lineno, colno, error } = event;
      if (callback.call(target, message, filename, lineno, colno, error) === true)
        event.preventDefault();
    } else if (callback.call(target, event) === false) {
      event.preventDefault();
    }
  }
}

let listenersOf, addListener, removeListener, handlerOf;

// Lets an object that exists already become an event target: a base class whose constructor returns
// it, so that EventTarget's private fields are put on it (see makeEventTarget).
let adopted = undefined;
class Adopting {
  constructor() {
    if (adopted !== undefined) return adopted;
  }
}

// Set by abort.js, which needs this file: adds an abort algorithm to a listener's `signal`.
let signalAborted = () => false, signalOnAbort;
export function setSignalFunctions(aborted, onAbort) {
  signalAborted = aborted;
  signalOnAbort = onAbort;
}

export class EventTarget extends Adopting {
  #listeners = undefined; // Map of type → array of Listener

  addEventListener(type, callback, options = undefined) {
    const target = this ?? globalThis;
    target.#listeners; // brand check
    requireArguments(arguments.length, 2, "'addEventListener' on 'EventTarget'");
    const name = toDOMString(type);
    if (callback !== null && callback !== undefined && !isObject(callback))
      throw new TypeError("The event listener is neither a function nor an object");
    let capture = false, once = false, passive = false, signal;
    if (isObject(options)) {
      capture = !!options.capture;
      once = !!options.once;
      passive = !!options.passive;
      signal = options.signal;
    } else if (options) {
      capture = true;
    }
    if (signal !== undefined && signalAborted(signal)) return;
    if (callback === null || callback === undefined) return;
    const list = target.#list(name);
    for (let i = 0; i < list.length; i++)
      if (list[i].callback === callback && list[i].capture === capture && !(list[i] instanceof HandlerListener))
        return;
    const listener = new Listener(name, callback, capture, once, passive);
    addListener(target, listener);
    if (signal !== undefined) signalOnAbort(signal, () => removeListener(target, listener));
  }

  removeEventListener(type, callback, options = undefined) {
    const target = this ?? globalThis;
    const listeners = target.#listeners;
    requireArguments(arguments.length, 2, "'removeEventListener' on 'EventTarget'");
    const name = toDOMString(type);
    if (callback !== null && callback !== undefined && !isObject(callback))
      throw new TypeError("The event listener is neither a function nor an object");
    const capture = isObject(options) ? !!options.capture : !!options;
    const list = listeners === undefined ? undefined : MapGet.call(listeners, name);
    if (list === undefined) return;
    for (let i = 0; i < list.length; i++) {
      if (list[i].callback === callback && list[i].capture === capture && !(list[i] instanceof HandlerListener)) {
        removeListener(target, list[i]);
        return;
      }
    }
  }

  dispatchEvent(event) {
    const target = this ?? globalThis;
    target.#listeners; // brand check
    requireArguments(arguments.length, 1, "'dispatchEvent' on 'EventTarget'");
    if (!isEvent(event)) throw new TypeError("The argument of dispatchEvent is not an Event");
    if (eventBusy(event))
      throw new DOMException("The event is already being dispatched", "InvalidStateError");
    return dispatch(target, event, false);
  }

  #list(type) {
    this.#listeners ??= new Map();
    let list = MapGet.call(this.#listeners, type);
    if (list === undefined) {
      list = [];
      MapSet.call(this.#listeners, type, list);
    }
    return list;
  }

  static {
    listenersOf = (target) => target.#listeners;
    addListener = (target, listener) => {
      ArrayPush.call(target.#list(listener.type), listener);
      listenerAdded(target, listener.type);
    };
    removeListener = (target, listener) => {
      listener.removed = true;
      const list = target.#list(listener.type);
      for (let i = 0; i < list.length; i++) {
        if (list[i] === listener) {
          for (let j = i + 1; j < list.length; j++) list[j - 1] = list[j];
          list.length--;
          return;
        }
      }
    };
    handlerOf = (target, type) => {
      const listeners = target.#listeners;
      const list = listeners === undefined ? undefined : MapGet.call(listeners, type);
      for (let i = 0; list !== undefined && i < list.length; i++)
        if (list[i] instanceof HandlerListener) return list[i];
      return undefined;
    };
  }
}
// To the outside EventTarget is a base class, as the standard has it.
ObjectSetPrototypeOf(EventTarget.prototype, Object.prototype);
defineInterface(EventTarget, "EventTarget");

// Gives globalThis the private part of an EventTarget; its methods are then installed by main.js.
export function makeEventTarget(object) {
  adopted = object;
  try {
    return new EventTarget();
  } finally {
    adopted = undefined;
  }
}

// Told of every listener that is added: abort.js keeps signals alive that someone listens to.
let listenerAdded = () => {};
export function setListenerAdded(callback) {
  listenerAdded = callback;
}

export function hasListeners(target, type) {
  const listeners = listenersOf(target);
  const list = listeners === undefined ? undefined : MapGet.call(listeners, type);
  return list !== undefined && list.length > 0;
}

// Defines `on<type>` on a prototype (or on an object that is an event target).
export function defineEventHandler(object, type) {
  ObjectDefineProperty(object, `on${type}`, {
    get() {
      const handler = handlerOf(this ?? globalThis, type);
      return handler === undefined ? null : handler.callback;
    },
    set(value) {
      const target = this ?? globalThis;
      const handler = handlerOf(target, type);
      const callback = isObject(value) ? value : null;
      if (handler !== undefined) {
        if (callback === null) removeListener(target, handler);
        else handler.callback = callback;
      } else if (callback !== null) {
        addListener(target, new HandlerListener(type, callback, false, false, false));
      }
    },
    enumerable: true,
    configurable: true,
  });
}

export class CustomEvent extends Event {
  #detail;

  constructor(type, init = undefined) {
    super(type, init);
    const detail = init?.detail;
    this.#detail = detail === undefined ? null : detail;
  }

  get detail() {
    return this.#detail;
  }

  initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
    requireArguments(arguments.length, 1, "'initCustomEvent' on 'CustomEvent'");
    this.#detail;
    if (eventBusy(this)) return;
    this.initEvent(type, bubbles, cancelable);
    this.#detail = detail;
  }
}
defineInterface(CustomEvent, "CustomEvent");

export class ErrorEvent extends Event {
  #message = "";
  #filename = "";
  #lineno = 0;
  #colno = 0;
  #error = undefined;

  constructor(type, init = undefined) {
    super(type, init);
    if (init === undefined || init === null) return;
    const { colno, error, filename, lineno, message } = init;
    if (colno !== undefined) this.#colno = toUnsignedLong(colno, "colno");
    this.#error = error;
    if (filename !== undefined) this.#filename = toUSVString(filename);
    if (lineno !== undefined) this.#lineno = toUnsignedLong(lineno, "lineno");
    if (message !== undefined) this.#message = toDOMString(message);
  }

  get message() {
    return this.#message;
  }

  get filename() {
    return this.#filename;
  }

  get lineno() {
    return this.#lineno;
  }

  get colno() {
    return this.#colno;
  }

  get error() {
    return this.#error;
  }
}
defineInterface(ErrorEvent, "ErrorEvent");

export class MessageEvent extends Event {
  #data = null;
  #origin = "";
  #lastEventId = "";
  #source = null;
  #ports = Object.freeze([]);

  constructor(type, init = undefined) {
    super(type, init);
    if (init === undefined || init === null) return;
    const { data, lastEventId, origin, ports, source } = init;
    if (data !== undefined) this.#data = data;
    if (lastEventId !== undefined) this.#lastEventId = toDOMString(lastEventId);
    if (origin !== undefined) this.#origin = toUSVString(origin);
    if (ports !== undefined) this.#ports = Object.freeze([...ports]);
    if (source !== undefined) this.#source = source;
  }

  get data() {
    return this.#data;
  }

  get origin() {
    return this.#origin;
  }

  get lastEventId() {
    return this.#lastEventId;
  }

  get source() {
    return this.#source;
  }

  get ports() {
    return this.#ports;
  }

  initMessageEvent(
    type, bubbles = false, cancelable = false, data = null, origin = "", lastEventId = "",
    source = null, ports = [],
  ) {
    requireArguments(arguments.length, 1, "'initMessageEvent' on 'MessageEvent'");
    this.#data;
    if (eventBusy(this)) return;
    this.initEvent(type, bubbles, cancelable);
    this.#data = data;
    this.#origin = toUSVString(origin);
    this.#lastEventId = toDOMString(lastEventId);
    this.#source = source;
    this.#ports = Object.freeze([...ports]);
  }
}
defineInterface(MessageEvent, "MessageEvent");

export class CloseEvent extends Event {
  #wasClean = false;
  #code = 0;
  #reason = "";

  constructor(type, init = undefined) {
    super(type, init);
    if (init === undefined || init === null) return;
    const { code, reason, wasClean } = init;
    if (code !== undefined) this.#code = toUnsignedShort(code, "code");
    if (reason !== undefined) this.#reason = toUSVString(reason);
    this.#wasClean = !!wasClean;
  }

  get wasClean() {
    return this.#wasClean;
  }

  get code() {
    return this.#code;
  }

  get reason() {
    return this.#reason;
  }
}
defineInterface(CloseEvent, "CloseEvent");

export class PromiseRejectionEvent extends Event {
  #promise;
  #reason;

  constructor(type, init) {
    requireArguments(arguments.length, 2, "PromiseRejectionEvent constructor");
    super(type, init);
    const promise = init?.promise;
    if (promise === undefined) throw new TypeError("PromiseRejectionEvent: init.promise is required");
    this.#promise = promise;
    this.#reason = init.reason;
  }

  get promise() {
    return this.#promise;
  }

  get reason() {
    return this.#reason;
  }
}
defineInterface(PromiseRejectionEvent, "PromiseRejectionEvent");

export class ProgressEvent extends Event {
  #lengthComputable = false;
  #loaded = 0;
  #total = 0;

  constructor(type, init = undefined) {
    super(type, init);
    if (init === undefined || init === null) return;
    const { lengthComputable, loaded, total } = init;
    this.#lengthComputable = !!lengthComputable;
    if (loaded !== undefined) this.#loaded = +loaded;
    if (total !== undefined) this.#total = +total;
  }

  get lengthComputable() {
    return this.#lengthComputable;
  }

  get loaded() {
    return this.#loaded;
  }

  get total() {
    return this.#total;
  }
}
defineInterface(ProgressEvent, "ProgressEvent");
