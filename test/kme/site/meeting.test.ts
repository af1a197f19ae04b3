import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { type Meeting, type MeetingOptions, startMeeting } from "../../../src/kme/site/meeting.ts";
import { ANYWHERE, closing, until } from "./site-bed.ts";

async function meeting(meet: MeetingOptions["meet"], options: Partial<MeetingOptions> = {}) {
  const channels: Socket[] = [];
  const peers: Socket[] = [];
  const made: Meeting = closing(
    await startMeeting({
      meet,
      onChannel: (socket) => void channels.push(socket),
      onPeer: (socket) => void peers.push(socket),
      ...options,
    }),
  );
  return { made, channels, peers };
}

async function reach({ made }: { readonly made: Meeting }): Promise<Socket> {
  if (made.endpoint === undefined || !("port" in made.endpoint)) throw new Error("it listens");
  const socket = connect(made.endpoint.port, made.endpoint.host);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

describe("the site that listens", () => {
  test("tells TLS from the classical channel by the first byte, which stays with TLS", async () => {
    const site = await meeting({ listen: ANYWHERE });
    const [tls, channel] = [await reach(site), await reach(site)];
    tls.write(Uint8Array.of(22, 3, 1));
    channel.write(Uint8Array.of(0x51, 7, 8));
    await until(() => site.peers.length === 1 && site.channels.length === 1);
    const heard = async (socket: Socket, length: number): Promise<number[]> => {
      const bytes: number[] = [];
      socket.on("data", (chunk) => bytes.push(...chunk));
      await until(() => bytes.length >= length);
      return bytes;
    };
    expect(await heard(site.peers[0]!, 3)).toEqual([22, 3, 1]);
    expect(await heard(site.channels[0]!, 2)).toEqual([7, 8]);
  });

  test("hangs up on whoever begins otherwise, or with nothing", async () => {
    const site = await meeting({ listen: ANYWHERE });
    const [http, mute] = [await reach(site), await reach(site)];
    http.write("GET / HTTP/1.1\r\n");
    mute.end();
    await Promise.all([http, mute].map((socket) => once(socket.resume(), "close")));
    expect([site.peers, site.channels]).toEqual([[], []]);
  });

  test("is refused where it cannot listen", async () => {
    const site = await meeting({ listen: ANYWHERE });
    await expect(meeting({ listen: site.made.endpoint! })).rejects.toMatchObject({
      name: "UsageError",
      code: "ERR_OPTION_INVALID",
    });
  });
});

test("the site that connects makes both connections, and each anew when it is gone", async () => {
  const site = await meeting({ listen: ANYWHERE });
  const other = await meeting({ connect: site.made.endpoint! });
  expect(other.made.endpoint).toBeUndefined();
  await until(() => other.peers.length === 1 && other.channels.length === 1);
  // TLS begins with what its client says.
  other.peers[0]!.write(Uint8Array.of(22));
  await until(() => site.peers.length === 1 && site.channels.length === 1);
  site.channels[0]!.destroy();
  await until(() => site.channels.length === 2);
  expect(other.peers).toHaveLength(1);
  await other.made.close();
  await site.made.close();
});
