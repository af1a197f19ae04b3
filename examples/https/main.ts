/** npx tsx examples/https/main.ts: two requests over one kept-alive connection, with KMEs and certificates of its own. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { testBed } from "../test-bed.ts";
import { get, httpsAgent } from "./client.ts";
import { createHttpsServer } from "./server.ts";

const bed = await testBed();
const [clientKeys, serverKeys] = [bed.keys("sae-a"), bed.keys("sae-b")];

const server = createHttpsServer({
  ...bed.identity("server"),
  qkd: { source: serverKeys, allow: ["sae-a"] },
});
server.listen(0, "localhost");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

const agent = httpsAgent({ ca: bed.ca, qkd: { source: clientKeys, peer: "sae-b" } });
process.stdout.write(await get(`https://localhost:${port}/first`, agent));
process.stdout.write(await get(`https://localhost:${port}/second`, agent));

agent.destroy();
server.close();
for (const each of [clientKeys, serverKeys, bed]) each.close();
