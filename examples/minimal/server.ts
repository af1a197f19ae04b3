/** Echoes what a client sends, over a channel keyed by ECDH, ML-KEM and a key from a KME. */
import { readFileSync } from "node:fs";
import { createServer, etsi014 } from "qkd-tls";

const [url = "https://localhost:8444", port = "4433", certs = "certs"] = process.argv.slice(2);
const pem = (name: string) => readFileSync(`${certs}/${name}`);

const kme = { url, sae: "sae-b", ca: pem("ca.crt"), cert: pem("sae-b.crt"), key: pem("sae-b.key") };
const qkd = { source: etsi014(kme), allow: ["sae-a"] };
const server = createServer({ cert: pem("server.crt"), key: pem("server.key"), qkd }, (socket) => {
  console.log(`${socket.security?.group} and the QKD key ${socket.security?.qkd?.keyId}`);
  socket.pipe(socket);
  socket.on("error", (error) => console.error(error.message));
});
server.listen(Number(port), "localhost", () => console.log("listening on", server.address()));
