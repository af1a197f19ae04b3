/** A stock https.Agent: only the connections it opens, and keeps alive, are ours. */
import https from "node:https";
import { connect, type ConnectOptions } from "qkd-tls";

export function httpsAgent(channel: ConnectOptions): https.Agent {
  const createConnection = ({ host, port }: ConnectOptions) =>
    connect({ ...channel, host: host ?? "localhost", port: port ?? 443 });
  return Object.assign(new https.Agent({ keepAlive: true }), { createConnection });
}

/** The body behind a URL. */
export async function get(url: string, agent: https.Agent): Promise<string> {
  const response = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
    https.get(url, { agent }, resolve).on("error", reject);
  });
  let text = "";
  for await (const chunk of response) text += chunk.toString();
  return text;
}
