import { mkdir, realpath } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { equal, toHex } from "../../protocol/bytes.ts";
import { Conversation, type ConversationOptions, faultBody, faultFrom } from "./conversation.ts";
import { fileFault, TransferError } from "./error.ts";
import { type Body, MAX_ENTRIES, type MessageOf, PROTOCOL, VERSION } from "./messages.ts";
import { checkPath, makeDirectory, shown } from "./path.ts";
import { failedFile, type FileReport, type Progress, type Report, Tally } from "./report.ts";
import { IncomingFile } from "./store.ts";

export interface ReceiveOptions extends ConversationOptions {
  /** Replace regular files that have other content; default false. */
  readonly overwrite?: boolean | undefined;
  /** The most content taken in one transfer; default 2^53 - 1. */
  readonly maxBytes?: number | undefined;
  /** Files and directories in one transfer; default 1000000. */
  readonly maxEntries?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Receives files into a directory, which is made if missing, from a sender at the other end of `socket`; ends the socket.
 * Throws a TransferError (with the `report` so far) unless every file is there, whole and with the sender's SHA-256.
 */
export async function receiveInto(
  socket: Duplex,
  directory: string,
  options: ReceiveOptions = {},
): Promise<Report> {
  const conversation = new Conversation(socket, options);
  const tally = new Tally(options.onProgress);
  try {
    const root = await rootAt(directory);
    await new Receiver(conversation, root, tally, options).run();
    conversation.close();
  } catch (error) {
    conversation.giveUp(error);
    if (error instanceof TransferError) error.report = tally.report();
    throw error;
  }
  return tally.complete();
}

async function rootAt(directory: string): Promise<string> {
  try {
    await mkdir(directory, { recursive: true });
    return await realpath(directory);
  } catch (cause) {
    throw fileFault(cause, "the directory to receive into cannot be used", "");
  }
}

class Receiver {
  readonly #talk: Conversation;
  readonly #root: string;
  readonly #tally: Tally;
  readonly #options: ReceiveOptions;
  #entriesLeft = 0;
  #bytesLeft: number;

  constructor(talk: Conversation, root: string, tally: Tally, options: ReceiveOptions) {
    this.#talk = talk;
    this.#root = root;
    this.#tally = tally;
    this.#options = options;
    this.#bytesLeft = options.maxBytes ?? Number.MAX_SAFE_INTEGER;
  }

  async run(): Promise<void> {
    this.#greet((await this.#talk.expect("hello")).body);
    await this.#talk.send("welcome", { version: VERSION });
    for (;;) {
      const message = await this.#talk.expect("directory", "file", "finish");
      if (message.is === "finish") break;
      if (this.#entriesLeft-- === 0)
        throw new TransferError("ERR_TRANSFER_LIMIT", "more files came than were announced");
      await (message.is === "file" ? this.#file(message.body) : this.#directory(message.body));
    }
    await this.#talk.send("finished", {});
  }

  #greet(hello: Body<"hello">): void {
    if (!equal(hello.protocol, PROTOCOL)) {
      throw new TransferError(
        "ERR_TRANSFER_MALFORMED",
        "the other side does not speak our transfer protocol",
      );
    }
    if (hello.version !== VERSION) {
      throw new TransferError(
        "ERR_TRANSFER_VERSION",
        `version ${hello.version} of the transfer protocol is not spoken here, ${VERSION} is`,
      );
    }
    const { maxEntries = MAX_ENTRIES } = this.#options;
    if (hello.entries > maxEntries) {
      throw new TransferError(
        "ERR_TRANSFER_LIMIT",
        `${hello.entries} files were announced and ${maxEntries} are allowed`,
      );
    }
    this.#entriesLeft = hello.entries;
    this.#tally.expect({ files: hello.entries, bytes: hello.bytes });
  }

  async #directory({ path, mode }: Body<"directory">): Promise<void> {
    try {
      await makeDirectory(this.#root, checkPath(path), mode & 0o777);
    } catch (error) {
      await this.#refuse(path, 0, fileFault(error, `${shown(path)} cannot be made`, path));
      return;
    }
    this.#tally.directories++;
    await this.#talk.send("made", {});
  }

  async #file(announced: Body<"file">): Promise<void> {
    const { path, size } = announced;
    let incoming: IncomingFile;
    try {
      if (size > this.#bytesLeft) throw tooMuch(announced, this.#bytesLeft);
      incoming = await IncomingFile.prepare(this.#root, announced, this.#options.overwrite ?? false);
    } catch (error) {
      await this.#refuse(path, size, fileFault(error, `${shown(path)} cannot be received`, path));
      return;
    }
    try {
      this.#bytesLeft -= size;
      await this.#take(incoming, announced);
    } finally {
      await incoming.close();
    }
  }

  /** Finds where to go on, takes the content, and answers for it. */
  async #take(incoming: IncomingFile, { path, size }: Body<"file">): Promise<void> {
    await this.#talk.send("held", { bytes: incoming.heldBytes });
    if (incoming.heldBytes > 0 && !(await this.#agree(incoming, path, size))) return;
    const resumedBytes = incoming.position;
    this.#tally.passed(path, resumedBytes);
    const last = await this.#content(incoming, path);
    if (last.is === "abandon") {
      await incoming.discard();
      this.#tally.add(failedFile(path, size, faultFrom(last.body, path)));
      return;
    }
    const { digest } = last.body;
    try {
      if (!incoming.emptyAlready) await this.#talk.during(incoming.complete(digest));
    } catch (error) {
      await this.#refuse(path, size, fileFault(error, `${shown(path)} cannot be stored`, path));
      return;
    }
    const outcome = incoming.emptyAlready ? "skipped" : "stored";
    await this.#done({ path, sizeBytes: size, outcome, resumedBytes }, digest);
  }

  /** Settles with the sender where its content goes on; false when none is to come. */
  async #agree(incoming: IncomingFile, path: string, size: number): Promise<boolean> {
    const answer = await this.#talk.expect("prefix", "abandon");
    if (answer.is === "abandon") {
      this.#tally.add(failedFile(path, size, faultFrom(answer.body, path)));
      return false;
    }
    const { digest } = answer.body;
    try {
      const same = await this.#talk.during(incoming.matches(digest, () => this.#talk.check()));
      if (same && incoming.finished) {
        this.#tally.passed(path, size);
        await this.#done({ path, sizeBytes: size, outcome: "skipped", resumedBytes: 0 }, digest);
        return false;
      }
      await incoming.begin();
    } catch (error) {
      await this.#refuse(path, size, fileFault(error, `${shown(path)} cannot be received`, path));
      return false;
    }
    await this.#talk.send("from", { offset: incoming.position });
    return true;
  }

  async #content(incoming: IncomingFile, path: string): Promise<MessageOf<"end" | "abandon">> {
    for (;;) {
      const message = await this.#talk.expect("data", "end", "abandon");
      if (message.is !== "data") return message;
      const { content } = message.body;
      await incoming.write(content);
      this.#tally.carried(path, content.length);
    }
  }

  async #done(file: Omit<FileReport, "sha256">, digest: Uint8Array): Promise<void> {
    this.#tally.add({ ...file, sha256: toHex(digest) });
    await this.#talk.send("done", { skipped: file.outcome === "skipped" ? 1 : 0, digest });
  }

  async #refuse(path: string, size: number, error: TransferError): Promise<void> {
    await this.#talk.send("refused", faultBody(error));
    this.#tally.add(failedFile(path, size, error));
  }
}

function tooMuch({ path, size }: Body<"file">, bytesLeft: number): TransferError {
  return new TransferError(
    "ERR_TRANSFER_LIMIT",
    `${shown(path)} has ${size} bytes and ${bytesLeft} are allowed`,
    { path },
  );
}
