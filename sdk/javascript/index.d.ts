// The types of `bulkhead-sdk`, and the ones that say more to a schema than TypeScript can.

declare const schema: unique symbol;

/** Holds `Keywords` for the build, and means nothing: any one may stand for any other. */
interface Mark<Keywords> {}

/**
 * A `T` whose JSON Schema has these keywords too: `Schema<string, { minLength: 1 }>`.
 * To TypeScript it is a `T`, and a `T` is one.
 */
export type Schema<T, Keywords extends object> = T & { readonly [schema]?: Mark<Keywords> };

/** A whole number, both bounds included: `Integer<1, 100>`, `Integer<0>`, `Integer`. */
export type Integer<Min extends number = never, Max extends number = never> = Schema<
  number,
  { type: "integer"; minimum: Min; maximum: Max }
>;

/** Throw it to tell the agent what is wrong. All of it reaches the agent. */
export declare class ToolError extends Error {
  /**
   * @param code A stable name for the kind of failure: 3 to 64 of `A-Z 0-9 _`, starting
   *   with a letter. The host replaces any other code, and its own, by `TOOL_ERROR`.
   * @param message One or two sentences that a model can act on. Nothing internal.
   */
  constructor(code: string, message: string, options?: ToolErrorOptions);
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: Record<string, unknown> | undefined;
  /** `RECORD_NOT_FOUND` for `notFound("record")`: what was named does not exist. */
  static notFound(what: string): ToolError;
  /** `CONFLICT`: the request is right but does not fit the present state. */
  static conflict(message: string): ToolError;
  /** `INVALID_INPUT`: the arguments match the schema and still make no sense. */
  static invalid(message: string): ToolError;
  /** `TEMPORARILY_UNAVAILABLE`: what the tool needs is expected back after so many milliseconds. */
  static unavailable(retryAfterMs: number): ToolError;
}

export interface ToolErrorOptions {
  /** Whether the same call may succeed later. By default, when `retryAfterMs` is given. */
  retryable?: boolean;
  /** How long to wait before that, in milliseconds. */
  retryAfterMs?: number;
  /** Details for a program; anything that has a form in JSON. */
  details?: Record<string, unknown>;
}

/** A result of several blocks, of a structured value, or of both. */
export declare class Output<T = never> {
  /** Adds a block of plain text. */
  text(text: string): this;
  /** Adds an image, with its media type (`image/png`). */
  image(data: Uint8Array, mimeType: string): this;
  /** Adds a piece of audio, with its media type (`audio/wav`). */
  audio(data: Uint8Array, mimeType: string): this;
  /** Adds a reference to a resource that the client may read. */
  resourceLink(uri: string, name: string, about?: { description?: string; mimeType?: string }): this;
  /** Adds a resource: its address, and its text or bytes. */
  resource(uri: string, contents: string | Uint8Array, mimeType?: string): this;
  /** Adds any MCP content block, an object with a `type`. */
  other(block: { type: string; [key: string]: unknown }): this;
  /** Sets the structured result. Without a block, the host adds it as one text block. */
  structured<U>(value: U): Output<U>;
  private readonly value: T;
}

/** The current call. Outside of the sandbox nobody calls, and nothing runs out. */
export declare const call: {
  /** Which program calls. */
  readonly agent: string;
  /** On whose behalf, where the credential says so. */
  readonly subject: string | undefined;
  /** What the caller may do, as it was granted (`records:*`). */
  readonly scopes: string[];
  /** The host's name for this call, as in its audit record. */
  readonly requestId: string;
  /** What is left until the host ends this call, in milliseconds. */
  readonly remainingTimeMs: number;
  /** What is left to compute with; about one unit per instruction. */
  readonly remainingFuel: number;
  /** The bytes that the result may have. A larger one is an error. */
  readonly maxOutputBytes: number;
};

/**
 * Tells the client how far the call is: `done` of `total`. A report that does not grow
 * is dropped.
 */
export declare function progress(done: number, total?: number, message?: string): void;

export type Level =
  | "debug"
  | "info"
  | "notice"
  | "warning"
  | "error"
  | "critical"
  | "alert"
  | "emergency";

/** Writes a line to the operator's log. `console.log` does so too, as `info`. */
export declare function log(level: Level, message: string): void;
