import { createHash, type Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { equal, toHex } from "../../protocol/bytes.ts";
import { digestSoFar, hashPrefix } from "./content.ts";
import { Conversation, type ConversationOptions, faultBody, faultFrom } from "./conversation.ts";
import { fileFault, TransferError } from "./error.ts";
import { DATA_BYTES, PROTOCOL, VERSION } from "./messages.ts";
import { shown } from "./path.ts";
import { failedFile, type FileReport, type Progress, type Report, Tally } from "./report.ts";
import { listSource, openSource, type Source, type SourceEntry } from "./source.ts";

export interface SendOptions extends ConversationOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Sends a file, or a directory with all below it, to a receiver at the other end of `socket`; ends the socket.
 * Throws a TransferError (with the `report` so far) unless the receiver has confirmed every file and its SHA-256.
 */
export async function sendPath(socket: Duplex, path: string, options: SendOptions = {}): Promise<Report> {
  const conversation = new Conversation(socket, options);
  let tally = new Tally(options.onProgress);
  try {
    const source = await conversation.during(listSource(path));
    tally = new Tally(options.onProgress, source.omitted);
    await sendAll(conversation, source, tally);
    conversation.close();
  } catch (error) {
    conversation.giveUp(error);
    if (error instanceof TransferError) error.report = tally.report();
    throw error;
  }
  return tally.complete();
}

async function sendAll(talk: Conversation, source: Source, tally: Tally): Promise<void> {
  const { entries, bytes, files } = source;
  tally.expect({ files: files + source.failed.length, bytes });
  for (const file of source.failed) tally.add(file);
  await talk.send("hello", { protocol: PROTOCOL, version: VERSION, entries: entries.length, bytes });
  const { version } = (await talk.expect("welcome")).body;
  if (version !== VERSION) {
    throw new TransferError(
      "ERR_TRANSFER_VERSION",
      `the receiver speaks version ${version}, and we ${VERSION}`,
    );
  }
  for (const entry of entries) await (entry.kind === "file" ? sendFile : sendDirectory)(talk, entry, tally);
  await talk.send("finish", {});
  await talk.expect("finished");
}

async function sendDirectory(talk: Conversation, { path, mode }: SourceEntry, tally: Tally): Promise<void> {
  await talk.send("directory", { path, mode });
  const answer = await talk.expect("made", "refused");
  if (answer.is === "made") tally.directories++;
  else tally.add(failedFile(path, 0, faultFrom(answer.body, path)));
}

async function sendFile(talk: Conversation, entry: SourceEntry, tally: Tally): Promise<void> {
  let file: FileHandle;
  try {
    file = await openSource(entry);
  } catch (error) {
    tally.add(failedFile(entry.path, entry.size, fileFault(error, shown(entry.path), entry.path)));
    return;
  }
  try {
    tally.add(await new OutgoingFile(talk, tally, entry.path, file).send());
  } finally {
    await file.close();
  }
}

/** One open file on its way out. */
class OutgoingFile {
  readonly #talk: Conversation;
  readonly #tally: Tally;
  readonly #path: string;
  readonly #file: FileHandle;
  #hash: Hash = createHash("sha256");
  #size = 0;
  #mtimeMs = 0;

  constructor(talk: Conversation, tally: Tally, path: string, file: FileHandle) {
    this.#talk = talk;
    this.#tally = tally;
    this.#path = path;
    this.#file = file;
  }

  async send(): Promise<FileReport> {
    const { size, mtimeMs, mode } = await this.#file.stat();
    this.#size = size;
    this.#mtimeMs = mtimeMs;
    const wholeMs = Math.max(0, Math.floor(mtimeMs));
    await this.#talk.send("file", { path: this.#path, size, mtimeMs: wholeMs, mode: mode & 0o777 });
    const answer = await this.#talk.expect("held", "refused");
    if (answer.is === "refused") return this.#failed(faultFrom(answer.body, this.#path));
    try {
      const agreed = answer.body.bytes === 0 ? 0 : await this.#agree(answer.body.bytes);
      if (typeof agreed !== "number") return agreed;
      this.#tally.passed(this.#path, agreed);
      await this.#content(agreed);
      return await this.#end(agreed);
    } catch (error) {
      // What went wrong with the connection ends the transfer; what is wrong with this file ends this file.
      this.#talk.check();
      if (!(error instanceof TransferError) || !OWN_FAULTS.has(error.code)) throw error;
      await this.#talk.send("abandon", faultBody(error));
      return this.#failed(error);
    }
  }

  /** Shows the digest of what the receiver holds; where it wants us to go on, or how the matter ended. */
  async #agree(heldBytes: number): Promise<number | FileReport> {
    if (heldBytes > this.#size) throw malformed(`it holds ${heldBytes} bytes of a file of ${this.#size}`);
    const talk = this.#talk;
    const length = await talk.during(this.#hashHeld(heldBytes));
    if (length < heldBytes) throw this.#changed("became shorter");
    const digest = digestSoFar(this.#hash);
    await talk.send("prefix", { digest });
    const answer = await talk.expect("from", "done", "refused");
    if (answer.is === "refused") return this.#failed(faultFrom(answer.body, this.#path));
    if (answer.is === "done") {
      if (heldBytes !== this.#size || !equal(answer.body.digest, digest))
        throw malformed("it skips a file that it lacks");
      this.#tally.passed(this.#path, heldBytes);
      return this.#whole("skipped", digest, 0);
    }
    const { offset } = answer.body;
    if (offset !== 0 && offset !== heldBytes)
      throw malformed(`it wants to go on at ${offset} and holds ${heldBytes}`);
    if (offset === 0) this.#hash = createHash("sha256");
    return offset;
  }

  async #hashHeld(heldBytes: number): Promise<number> {
    try {
      return await hashPrefix(this.#file, this.#hash, heldBytes, () => this.#talk.check());
    } catch (cause) {
      this.#talk.check();
      throw fileFault(cause, `${shown(this.#path)} cannot be read`, this.#path);
    }
  }

  async #content(offset: number): Promise<void> {
    const buffer = Buffer.allocUnsafe(Math.min(DATA_BYTES, this.#size - offset));
    for (let at = offset; at < this.#size; ) {
      const { bytesRead } = await this.#file
        .read(buffer, 0, Math.min(buffer.length, this.#size - at), at)
        .catch((cause: unknown) => {
          throw fileFault(cause, `${shown(this.#path)} cannot be read`, this.#path);
        });
      if (bytesRead === 0) throw this.#changed("became shorter");
      const content = buffer.subarray(0, bytesRead);
      this.#hash.update(content);
      await this.#talk.send("data", { content });
      at += bytesRead;
      this.#tally.carried(this.#path, bytesRead);
    }
    const now = await this.#file.stat();
    if (now.size !== this.#size || now.mtimeMs !== this.#mtimeMs) throw this.#changed("changed");
  }

  async #end(resumedBytes: number): Promise<FileReport> {
    const digest = digestSoFar(this.#hash);
    await this.#talk.send("end", { digest });
    const answer = await this.#talk.expect("done", "refused");
    if (answer.is === "refused") return this.#failed(faultFrom(answer.body, this.#path));
    if (!equal(answer.body.digest, digest)) {
      throw new TransferError(
        "ERR_TRANSFER_DIGEST",
        `${shown(this.#path)} has another SHA-256 at the receiver`,
        {
          path: this.#path,
        },
      );
    }
    return this.#whole(answer.body.skipped === 0 ? "stored" : "skipped", digest, resumedBytes);
  }

  #whole(outcome: "stored" | "skipped", digest: Uint8Array, resumedBytes: number): FileReport {
    return { path: this.#path, sizeBytes: this.#size, outcome, sha256: toHex(digest), resumedBytes };
  }

  #failed(error: TransferError): FileReport {
    return failedFile(this.#path, this.#size, error);
  }

  #changed(what: string): TransferError {
    const message = `${shown(this.#path)} ${what} while it was being sent`;
    return new TransferError("ERR_TRANSFER_CHANGED", message, { path: this.#path });
  }
}

/** Faults of one file on our own disk; the others can still be sent. */
const OWN_FAULTS: ReadonlySet<string> = new Set(["ERR_TRANSFER_CHANGED", "ERR_TRANSFER_FILE"]);

function malformed(what: string): TransferError {
  return new TransferError("ERR_TRANSFER_MALFORMED", `the receiver contradicts itself: ${what}`);
}
