/** The other end: node:tls of the Node that runs this file. One JSON line in, one JSON line out. */
import { createInterface } from "node:readline";
import tls from "node:tls";

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const servers = new Map();
const buffer = (psk) => Buffer.from(psk, "hex");

function listen({ id, options = {}, psks }) {
  const pskCallback =
    psks && ((_, identity) => (psks[identity] === undefined ? null : buffer(psks[identity])));
  const server = tls.createServer({ ...options, ...(pskCallback ? { pskCallback } : {}) }, (socket) => {
    socket.on("error", () => undefined);
    const facts = describe(socket);
    socket.write(`${JSON.stringify(facts)}\n`);
    socket.pipe(socket);
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1", () => say({ id, port: server.address().port }));
  servers.set(id, server);
}

const describe = (socket) => ({
  suite: socket.getCipher()?.name,
  group: socket.getEphemeralKeyInfo()?.name,
  reused: socket.isSessionReused(),
  alpn: socket.alpnProtocol,
  peer: socket.getPeerCertificate()?.subject?.CN,
  exporter: socket.exportKeyingMaterial(32, "EXPORTER-test", Buffer.from("x")).toString("hex"),
});

/** Connects, sends `bytes` bytes, and tells what came back. */
function connect({ id, options, bytes = 0, psk, session }) {
  const socket = tls.connect({
    ...options,
    host: "127.0.0.1",
    servername: "localhost",
    ...(psk
      ? {
          pskCallback: () => ({ identity: psk.identity, psk: buffer(psk.key) }),
          checkServerIdentity: () => undefined,
        }
      : {}),
    ...(session ? { session: Buffer.from(session, "hex") } : {}),
  });
  let received = 0;
  let facts;
  let newest;
  socket.on("session", (value) => (newest = value.toString("hex")));
  socket.on("secureConnect", () => {
    facts = describe(socket);
    socket.end(Buffer.alloc(bytes, 5));
  });
  socket.on("data", (chunk) => (received += chunk.length));
  socket.on("error", (error) => say({ id, error: error.code ?? error.message }));
  socket.on("end", () => say({ id, ...facts, received, session: newest }));
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  if (order.do === "listen") listen(order);
  else if (order.do === "connect") connect(order);
  else if (order.do === "close") servers.get(order.of)?.close();
});
say({ id: "ready", version: process.version, openssl: process.versions.openssl });
