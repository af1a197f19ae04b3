/** Sends a line and prints the echo, over a channel keyed by ECDH, ML-KEM and a key from a KME. */
import { readFileSync } from "node:fs";
import { connect, etsi014 } from "qkd-tls";

const [url = "https://localhost:8443", port = "4433", certs = "certs"] = process.argv.slice(2);
const pem = (name: string) => readFileSync(`${certs}/${name}`);

const kme = { url, sae: "sae-a", ca: pem("ca.crt"), cert: pem("sae-a.crt"), key: pem("sae-a.key") };
const qkd = { source: etsi014(kme), peer: "sae-b" };
const socket = connect({ host: "localhost", port: Number(port), ca: pem("ca.crt"), qkd });
socket.on("secureConnect", () => {
  console.log(`${socket.security?.group} and the QKD key ${socket.security?.qkd?.keyId}`);
  socket.end("hello\n");
});
socket.on("data", (data) => process.stdout.write(data));
socket.on("error", (error) => console.error(error.message));
socket.on("close", () => qkd.source.close());
