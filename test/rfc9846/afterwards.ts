/** §4.6 and §4.7: early data's end, tickets and key updates. */
import {
  both,
  client,
  exempt,
  NO_EARLY_DATA,
  NO_LATE_AUTHENTICATION,
  section,
  server,
} from "./requirement.ts";

const rules = [
  section(
    "4.6",
    exempt("client", "EndOfEarlyData after early data was accepted", NO_EARLY_DATA),
    client(
      "no EndOfEarlyData otherwise",
      "fuzz/tamper: untouched, it connects by these messages",
      "channel/records: our client never announces it",
    ),
    server("never from a server", "fuzz/tamper: untouched, it connects by these messages"),
    client(
      "from a server it is unexpected_message",
      "handshake/machine: the %s's table",
      "channel/channel: %s on a connection is unexpected_message",
    ),
  ),
  section(
    "4.7.1",
    client(
      "tickets are ignored where nothing resumes",
      "handshake/afterwards: without resumption one is ignored, whatever is in it",
    ),
    both(
      "a ticket resumes with its hash alone",
      "channel/tickets: another suite of the same hash resumes; a suite of another hash does not",
    ),
    client(
      "it resumes only with a name its certificate has",
      "channel/tickets: a session for another server name is not offered",
      "channel/tickets: by its name and purpose, before its ticket counts",
    ),
    both(
      "the name that is told is that of the new hello",
      "channel/tickets: a session for another server name is not offered, and its ticket would not be taken",
      "channel/tickets: §4.7.1: the server tells the name that the resuming hello has",
    ),
    server(
      "lifetimes up to seven days",
      "channel/config: server %s: %s",
      "handshake/afterwards: a lifetime of over seven days is illegal_parameter",
    ),
    client(
      "no ticket is used longer than seven days",
      "handshake/afterwards: a lifetime of over seven days is illegal_parameter",
      "channel/tickets: renewed again and again, tickets end seven days after",
    ),
    server(
      "ticket_age_add is new each time",
      "channel/tickets: each stands for another secret under another age_add",
    ),
    client(
      "unknown extensions are passed over",
      "handshake/afterwards: GREASE: an unknown extension in it is passed over",
    ),
  ),
  section(
    "4.7.2",
    exempt("client", "authentication messages answer a late CertificateRequest", NO_LATE_AUTHENTICATION),
    exempt("client", "Certificate, CertificateVerify and Finished, if it agrees", NO_LATE_AUTHENTICATION),
    exempt("client", "an empty Certificate and Finished, if not", NO_LATE_AUTHENTICATION),
    exempt("client", "an answer is not interrupted", NO_LATE_AUTHENTICATION),
    client(
      "a CertificateRequest without the offer is unexpected_message",
      "channel/channel: %s on a connection is unexpected_message",
    ),
    exempt("server", "an answer may take its time", NO_LATE_AUTHENTICATION),
  ),
  section(
    "4.7.3",
    both(
      "KeyUpdate before Finished is unexpected_message",
      "handshake/machine: the %s's table",
      "fuzz/tamper: any message replaced by any other one of the handshake",
    ),
    both(
      "after it, all is sent under the next keys",
      "channel/channel: the %s moves its own direction alone",
    ),
    both("its receiver moves on too", "channel/channel: the %s moves its own direction alone"),
    both(
      "any other request_update is illegal_parameter",
      "channel/channel: an unknown KeyUpdateRequest is illegal_parameter",
      "wire/handshake: §4.7.3: any request_update but 0 and 1 is illegal_parameter",
    ),
    both(
      "a request is answered before the next application data",
      "channel/channel: asked by the %s, the peer answers with one of its own",
      "channel/channel: while the %s is silent, one update answers however many requests",
    ),
    both(
      "no second request before the answer",
      "channel/channel: the %s asks again only when the answer has come",
    ),
    both(
      "KeyUpdate is under the old keys",
      "channel/channel: the %s moves its own direction alone",
      "channel/channel: an unknown KeyUpdateRequest is illegal_parameter",
    ),
    both(
      "nothing under new keys before it",
      "channel/channel: §4.7.3: a record under the next key without a KeyUpdate is bad_record_mac",
    ),
    exempt("both", "at most 2^48-1 updates are sent", "a hundred thousand a second would take ninety years"),
    exempt(
      "both",
      "a peer's updates are not counted up to that",
      "nobody can send so many; a flood is bounded by the minute",
    ),
    exempt(
      "both",
      "an answer that goes beyond is left out",
      "a hundred thousand a second would take ninety years",
    ),
  ),
];

export const afterwards = rules.flat();
