/** A chat room: whoever is in it hears what the others say, whatever way they came. */
import type { QkdTlsSocket } from "qkd-tls";

const MAX_LINE_CHARS = 1000;
const MAX_UNREAD_BYTES = 100_000;

export class Room {
  readonly #people = new Set<QkdTlsSocket>();

  /** Lets somebody in, under the name that the client certificate proves, until they leave. */
  async enter(person: QkdTlsSocket): Promise<void> {
    const name = String(person.getPeerX509Certificate()?.subject.match(/CN=(.*)/)?.[1]);
    person.on("error", () => person.destroy()); // A connection that was cut is a way to leave.
    this.#people.add(person);
    this.#tell(
      `* ${name} came in, by ${person.security?.group} and the QKD key ${person.security?.qkd?.keyId}`,
    );
    try {
      let rest = "";
      // Not destroyed at the end of what they say: they may still read.
      for await (const chunk of person.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
        const lines = `${rest}${String(chunk)}`.split("\n");
        rest = lines.pop() ?? "";
        if (rest.length > MAX_LINE_CHARS) break;
        for (const line of lines) this.#tell(`${name}: ${line.slice(0, MAX_LINE_CHARS)}`);
      }
    } catch {
      // Told below.
    }
    this.#people.delete(person);
    person.end();
    this.#tell(`* ${name} left`);
  }

  #tell(text: string): void {
    // What would move the cursor of a terminal is not passed on.
    const line = `${text.replace(/\p{Cc}/gu, "")}\n`;
    for (const person of this.#people) {
      // Somebody who does not read must not fill our memory.
      if (person.writableLength > MAX_UNREAD_BYTES) person.destroy();
      else person.write(line);
    }
  }
}
