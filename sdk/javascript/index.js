// What a tool's author imports: errors, results with blocks, and the current call.
//
// Nothing here needs the sandbox, so that a tool can be tested as the plain function
// that it is. Inside of it `serve.js` connects `call` to the host.

/**
 * A failure that the caller of a tool can reason about. All of it reaches the agent.
 */
export class ToolError extends Error {
  constructor(code, message, { retryable, retryAfterMs, details } = {}) {
    super(message);
    this.name = "ToolError";
    this.code = code;
    this.retryable = retryable ?? retryAfterMs !== undefined;
    this.retryAfterMs = retryAfterMs;
    this.details = details;
  }

  static notFound(what) {
    const kind = what.toUpperCase().replace(/[^A-Z0-9]/g, "_");
    return new ToolError(`${kind}_NOT_FOUND`, `There is no such ${what}.`);
  }

  static conflict(message) {
    return new ToolError("CONFLICT", message);
  }

  static invalid(message) {
    return new ToolError("INVALID_INPUT", message);
  }

  static unavailable(retryAfterMs) {
    const message = "What this tool depends on is not available right now.";
    return new ToolError("TEMPORARILY_UNAVAILABLE", message, { retryAfterMs });
  }
}

/** A result of several blocks, or of a structured value with a text of its own. */
export class Output {
  content = [];
  value = undefined;

  text(text) {
    return this.#block("text", { text: text.toWellFormed() });
  }

  image(data, mimeType) {
    return this.#block("image", { data, mimeType });
  }

  audio(data, mimeType) {
    return this.#block("audio", { data, mimeType });
  }

  resourceLink(uri, name, { description, mimeType } = {}) {
    return this.#block("resource-link", { uri, name, description, mimeType });
  }

  resource(uri, contents, mimeType) {
    const tag = typeof contents === "string" ? "text" : "blob";
    return this.#block("resource", { uri, mimeType, contents: { tag, val: contents } });
  }

  other(block) {
    return this.#block("other", JSON.stringify(block));
  }

  structured(value) {
    this.value = value;
    return this;
  }

  #block(tag, val) {
    this.content.push({ tag, val });
    return this;
  }
}

// Outside of the sandbox nobody calls, and nothing runs out.
let host = {
  agent: () => "",
  subject: () => null,
  scopes: () => [],
  requestId: () => "",
  remainingTimeMs: () => Number.MAX_SAFE_INTEGER,
  remainingFuel: () => Number.MAX_SAFE_INTEGER,
  maxOutputBytes: () => Number.MAX_SAFE_INTEGER,
  progress() {},
  log() {},
};

/** The current call: who calls, and what is left of its quota. */
export const call = {
  get agent() {
    return host.agent();
  },
  get subject() {
    return host.subject() ?? undefined;
  },
  get scopes() {
    return host.scopes();
  },
  get requestId() {
    return host.requestId();
  },
  get remainingTimeMs() {
    return host.remainingTimeMs();
  },
  get remainingFuel() {
    return host.remainingFuel();
  },
  get maxOutputBytes() {
    return host.maxOutputBytes();
  },
};

/** Tells the client how far the call is. */
export function progress(done, total, message) {
  host.progress(done, total ?? null, message ?? null);
}

/** Writes a line to the operator's log. */
export function log(level, message) {
  host.log(level, message);
}

/** For `serve.js`: from here on, `call` is the host's. */
export function connect(imports) {
  host = imports;
}
