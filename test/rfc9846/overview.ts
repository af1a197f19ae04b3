/** Chapters 1 and 2. */
import { both, exempt, OTHER_AUTHORS, section, server } from "./requirement.ts";

export const overview = [
  section("1", exempt("both", "an application protocol says how it uses TLS", OTHER_AUTHORS)),
  section(
    "1.2",
    both("update keys before their limit", "channel/channel: §5.5: by itself before a key has sealed"),
  ),
  section(
    "2",
    server(
      "answer with a share of a group that had a client's share",
      "channel/engine: %s: every group with every suite",
      "handshake/client-hello: §4.3.8: a share of a group that had none is illegal_parameter",
    ),
    both("no application data before Finished", "channel/channel: before the handshake"),
  ),
  section(
    "2.1",
    server(
      "abort with a fitting alert when nothing is in common",
      "handshake/choose: §4.2.1: no suite in common is handshake_failure",
      "handshake/server-choices: %s and no group in common is handshake_failure",
    ),
  ),
  section(
    "2.2",
    both(
      "an external PSK has its identity and hash from the start",
      "channel/psk: text becomes bytes, the hash is SHA-256 unless said otherwise",
      "handshake/offer: RFC 9258: an imported key is offered",
    ),
  ),
].flat();
